"""Whatever goes wrong is a sentence and an exit code, never a traceback."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unblur.app import cli
from unblur.app.cli import main
from unblur.app.commands import Command
from unblur.app.report import describe_error
from unblur.errors import UnblurError
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo

ERRORS = {
    "defect": (KeyError("x\ny"), "unexpected error"),
    "memory": (MemoryError(), "memory"),
    "permission": (
        PermissionError(13, "Permission denied", "/closed/place"),
        "/closed/place cannot be used: Permission",
    ),
    "connection": (OSError("no route"), "no route"),
    "ours": (UnblurError("A sentence."), "A sentence."),
}


@pytest.mark.parametrize("name", ERRORS)
def test_unexpected_errors_are_reported_in_a_sentence(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error, said = ERRORS[name]

    def command() -> int:
        """Fails."""
        raise error

    class Failing(Command):
        def load(self) -> Callable[..., int]:
            return command

    monkeypatch.setitem(cli.COMMANDS, "fails", Failing("fails", "Fails.", ()))
    assert main(["fails"]) in (1, 2)
    result = capsys.readouterr().err
    assert said in result
    assert result.count("\n") == 1
    assert describe_error(error) in result


@pytest.mark.parametrize("output", ["taken/sub/dir/x.jpg", "taken/x.jpg"])
def test_an_output_folder_that_cannot_be_made_is_named(
    tmp_path: Path, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that cannot be made, also by root."""
    write_photo(Photo(pixels=np.zeros((16, 16, 3), np.uint8)), tmp_path / "photo.jpg")
    (tmp_path / "taken").write_text("a file")
    assert main(["restore", str(tmp_path / "photo.jpg"), "-o", str(tmp_path / output), "--mode", "fast"]) == 1
    result = capsys.readouterr().err
    assert f"{tmp_path / 'taken'}" in result
    assert "Error:" not in result
    assert "[Errno" not in result
    assert result.count("\n") == 1
