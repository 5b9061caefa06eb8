"""The completion scripts of the shells, which `python docs/generate.py` writes."""

from collections.abc import Sequence
from pathlib import Path

from unblur.errors import UnblurError

SCRIPTS = Path(__file__).parent / "completions"
"""Folder of the scripts, `unblur.SHELL`."""

SHELLS = ("bash", "zsh", "fish")


def read_completion_script(shells: Sequence[str]) -> str:
    """Return the script of the one shell in `shells`. Raises UnblurError for none, several and others."""
    if len(shells) != 1 or shells[0] not in SHELLS:
        raise UnblurError(
            f"There are completion scripts for {', '.join(SHELLS)}; try: unblur --print-completion {SHELLS[0]}"
        )
    return (SCRIPTS / f"unblur.{shells[0]}").read_text(encoding="utf-8")
