"""Shell completion: scripts are printed without loading PyTorch, and bash offers the candidates that they list."""

import shutil
import subprocess
from pathlib import Path

import pytest

from unblur.app.cli import main
from unblur.app.completion import SCRIPTS, SHELLS

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_each_shell_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--print-completion", shell]) == 0
    script = capsys.readouterr().out
    assert f"for {shell}" in script
    for word in ("restore", "generative", "print-completion", "pairs-per-shard"):
        assert word in script
    assert "None" not in script


@pytest.mark.parametrize("shells", [[], ["tcsh"], ["bash", "zsh"]])
def test_other_shells_are_refused(shells: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--print-completion", *shells]) == 2
    assert "bash, zsh, fish" in capsys.readouterr().err


@needs_bash
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("unblur re", "restore"),
        ("unblur vi", "video"),
        ("unblur --vers", "--version"),
        ("unblur photo.jpg --mode ", "faithful fast generative"),
        ("unblur restore --mode f", "faithful fast"),
        ("unblur video --mode ", ""),
        ("unblur video in.mp4 --fr", "--frames"),
        ("unblur train multiscale-", "multiscale-finish"),
        ("unblur export dt", "dtmodel"),
        ("unblur help ev", "evaluate"),
        # Nothing, so that the shell completes the names of files.
        ("unblur phot", ""),
        ("unblur -o ", ""),
        ("unblur a.jpg --suffix ", ""),
    ],
)
def test_bash_offers_words(line: str, offered: str, tmp_path: Path) -> None:
    script = f"""
source "{SCRIPTS / "unblur.bash"}"
COMP_WORDS=({line}{'""' if line.endswith(" ") else ""})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_unblur
echo "${{COMPREPLY[*]}}"
"""
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == offered
    assert done.stderr == ""
