"""Every experiment is listed, ends with an exit code, and refuses the folder of another."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from experiments.harness import lock_settings, run
from unblur.errors import UnblurError

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Settings:
    steps: int


def fails(*, how: str) -> int:
    """Fail in one way or another."""
    if how == "interrupted":
        raise KeyboardInterrupt
    if how == "refused":
        raise UnblurError("That is no way; give another.")
    return 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--how", "refused"], 2, "test_harness: That is no way; give another.\n"),
        (["--how", "interrupted"], 130, "test_harness: interrupted.\n"),
        (["--how", "otherwise"], 1, ""),
    ],
)
def test_an_experiment_ends_with_a_code_and_a_sentence(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(fails, arguments) == code
    assert capsys.readouterr().err == said


def test_help_and_wrong_usage_name_the_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(fails, ["--help"]) == 0
    assert "python -m experiments.test_harness" in capsys.readouterr().out
    assert run(fails, ["--no-such-option"]) == 2


def test_a_folder_belongs_to_one_experiment(tmp_path: Path) -> None:
    lock_settings(tmp_path / "out", Settings(steps=1))
    lock_settings(tmp_path / "out", Settings(steps=1))
    with pytest.raises(UnblurError, match="give another folder"):
        lock_settings(tmp_path / "out", Settings(steps=2))
    (tmp_path / "file").touch()
    with pytest.raises(UnblurError, match="cannot be written"):
        lock_settings(tmp_path / "file" / "out", Settings(steps=1))


def test_all_experiments_are_listed() -> None:
    listed = subprocess.run([sys.executable, "-m", "experiments"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = [line.split()[0] for line in listed.stdout.splitlines() if line and not line.startswith("`")]
    assert {"release", "severity", "shape_race"} <= set(names)
    assert not {"harness", "measuring", "__init__", "__main__"} & set(names)
