"""Names and docstrings are in plain words: whole sentences, and no private vocabulary; so are messages and comments."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for package in ("unblur", "experiments", "tests") for path in (ROOT / package).rglob("*.py"))
OUTSIDE_TESTS = [path for path in FILES if path.parts[len(ROOT.parts)] != "tests"]
WITH_FORMER_NAMES = {"unblur/app/renamed_options.py", "unblur/checkpoints/old_names.py"}
"""Files that list words which the others must not use."""

FRAGMENT = re.compile(
    r"(After|As|Because|Before|Between|By|For|From|How|In|Of|On|That|Those|To|Under|What|When|Where|Which|Who|Whose|With)\b"
)
"""Beginnings of docstrings that are not a sentence unless the name of the documented thing is read with them."""

NO_VERB = re.compile(r"(A|An|Each|Every|Of|One|Our|The|What|Whether|Why)\b|[^A-Z]")
"""Beginnings of the docstrings of functions that are not a verb: articles, fragments, code, shapes."""

DIALECT = re.compile(r"\b(told|seen|kept|hourglass(es)?|legs?|look(s|ed|ing)? at)\b", re.IGNORECASE)
"""Words that stood for several things each; CONTRIBUTING.md has the field's words for them."""


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Docstrings of modules, classes and functions, and the strings below attributes and constants."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield statement.lineno, text.strip()


def function_docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Docstrings of functions and methods, without those of properties, which are nouns."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text and not any(ast.unparse(decorator).endswith("property") for decorator in node.decorator_list):
                yield node.lineno, text


def literals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Texts, such as messages and help, without docstrings."""
    documented = {text for _, text in docstrings(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.strip() not in documented:
            yield node.lineno, node.value


def comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def identifiers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Names of variables, arguments, attributes, functions and classes, split into words."""
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                yield getattr(node, "lineno", 0), re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_and_docstrings_are_plain(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    texts = list(docstrings(tree))
    assert not [(line, text.splitlines()[0]) for line, text in texts if FRAGMENT.match(text)]
    if path.relative_to(ROOT).as_posix() not in WITH_FORMER_NAMES:
        # Tests quote words of other programs, and former names.
        quoted = literals(tree) if path in OUTSIDE_TESTS else ()
        for line, text in (*texts, *identifiers(tree), *quoted, *comments(source)):
            assert not DIALECT.search(text), f"{path}:{line}"


@pytest.mark.parametrize("path", OUTSIDE_TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_of_functions_begin_with_a_verb(path: Path) -> None:
    found = function_docstrings(ast.parse(path.read_text(encoding="utf-8")))
    assert not [(line, text.splitlines()[0]) for line, text in found if NO_VERB.match(text)]


def test_nouns_are_no_verbs() -> None:
    tree = ast.parse(
        'def twin(a):\n    """The twin of `a`."""\n\n\n'
        'class B:\n    @property\n    def size(self):\n        """The size."""\n\n'
        '    def move(self):\n        """Return it."""\n'
    )
    assert [(line, bool(NO_VERB.match(text))) for line, text in function_docstrings(tree)] == [(1, True), (10, False)]


def test_the_patterns_find_what_they_are_for() -> None:
    tree = ast.parse('class KeptPatch:\n    side_px: int\n    """Of what was told."""\n')
    assert [text for _, text in docstrings(tree) if FRAGMENT.match(text) and DIALECT.search(text)]
    assert [name for _, name in identifiers(tree) if DIALECT.search(name)] == ["Kept Patch"]
    assert not FRAGMENT.match("Offsets of the sensor") and not DIALECT.search("legal, keep, foretold")  # noqa: PT018
