"""Help texts of the commands, and suggestions for misspelt commands and options."""

import shlex
from collections.abc import Callable
from functools import wraps
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import tyro

from unblur.app.cli import main
from unblur.app.commands import COMMANDS, GROUPS
from unblur.app.jobs import RESULT_SUFFIXES

EXAMPLES = [line for command in COMMANDS.values() for line, _ in command.examples]


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"]])
def test_help_lists_every_command_and_examples(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    text = capsys.readouterr().out
    for title, group in GROUPS.items():
        assert f"\n{title}:\n" in text
        for command in group:
            assert f"\n  {command.name} " in text
            assert command.summary in text
    assert "\nexamples:\n  unblur photo.jpg\n" in text
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize("name", COMMANDS)
def test_each_help_has_examples_and_readable_values(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    texts = []
    for arguments in ([name, "--help"], ["help", name], ["-h", name]):
        assert main(arguments) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] == texts[2]
    for unreadable in ("None", "True", "False", "(default: )", "PATH", "STR ", "INT ", "FLOAT ", "[["):
        assert unreadable not in texts[0]
    for line, effect in COMMANDS[name].examples:
        assert f"\n  {line}\n      {effect}\n" in texts[0]


@pytest.mark.parametrize("line", EXAMPLES)
def test_examples_have_existing_options(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parse = tyro.cli

    def parse_alone(function: Callable[..., int], **options: Any) -> int:
        return parse(wraps(function)(lambda *_given, **_named: 0), **options)

    monkeypatch.setattr(tyro, "cli", parse_alone)
    arguments = shlex.split(line)[1:]
    assert main(list(takewhile(lambda argument: argument not in "<>", arguments))) == 0


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_the_version(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([option]) == 0
    assert capsys.readouterr().out.startswith("unblur 0.")


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["restor", "photo.jpg"], "did you mean `unblur restore`?"),
        (["Vidoe", "clip.mp4"], "did you mean `unblur video`?"),
        (["watch", "camera"], "did you mean `unblur FOLDER --watch`?"),
        (["hlep"], "did you mean `unblur help`?"),
        (["help", "evalute"], "did you mean `unblur help evaluate`?"),
        (["help", "xyzzy"], "`unblur help` lists the commands"),
        (["photo.jpg", "--fast"], "did you mean --mode fast?"),
        (["restore", "--generative", "photo.jpg"], "did you mean --mode generative?"),
        (["photo.jpg", "-f"], "did you mean --overwrite?"),
        (["-v"], "did you mean -V"),
    ],
)
def test_what_was_misspelt_gets_a_suggestion(
    arguments: list[str], suggestion: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert suggestion in said
    assert said.count("\n") == 1


def test_a_file_with_the_name_of_a_misspelt_command_is_a_photograph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("restor").write_text("no photograph")
    assert main(["restor"]) == 1
    assert "restor" in capsys.readouterr().err
    assert main(["holiday-2026"]) == 1
    assert "holiday-2026 cannot be read" in capsys.readouterr().err


def test_modes_write_different_names() -> None:
    assert len(set(RESULT_SUFFIXES.values())) == len(RESULT_SUFFIXES)
