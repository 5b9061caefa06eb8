"""Names and docstrings are in plain words: whole sentences, and no private vocabulary."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for package in ("unblur", "experiments") for path in (ROOT / package).rglob("*.py"))

FRAGMENT = re.compile(
    r"(After|As|Because|Before|Between|By|For|From|How|In|Of|On|That|Those|To|Under|What|When|Where|Which|Who|Whose|With)\b"
)
"""Beginnings of docstrings that are no sentence unless the name of the documented thing is read with them."""

FOLDERS = (
    "unblur",
    "unblur/app",
    "unblur/checkpoints",
    "unblur/evaluation",
    "unblur/evaluation/peers",
    "unblur/evaluation/published",
    "unblur/photos",
    "unblur/restoration",
    "unblur/service",
)
"""Folders in which the docstrings of functions begin with a verb."""

NO_VERB = re.compile(r"(A|An|Each|Every|Of|One|Our|The|What|Whether|Why)\b|[^A-Z]")
"""Beginnings of the docstrings of functions that are no verb in the imperative: articles, fragments, code, shapes."""

DIALECT = re.compile(r"\b(told|seen|kept|hourglass(es)?|legs?|looks at)\b", re.IGNORECASE)
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
            if text and "property" not in (ast.unparse(decorator) for decorator in node.decorator_list):
                yield node.lineno, text


def identifiers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Names of variables, arguments, attributes, functions and classes, split into words."""
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                yield getattr(node, "lineno", 0), re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_and_docstrings_are_plain(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = list(docstrings(tree))
    assert not [(line, text.splitlines()[0]) for line, text in texts if FRAGMENT.match(text)]
    for line, text in (*texts, *identifiers(tree)):
        assert not DIALECT.search(text), f"{path}:{line}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_of_functions_begin_with_a_verb(folder: str) -> None:
    wrong = [
        f"{path.name}:{line}: {text.splitlines()[0]}"
        for path in sorted((ROOT / folder).glob("*.py"))
        for line, text in function_docstrings(ast.parse(path.read_text(encoding="utf-8")))
        if NO_VERB.match(text)
    ]
    assert not wrong


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
