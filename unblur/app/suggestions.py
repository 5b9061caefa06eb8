"""Suggestions for commands and options that do not exist, beside those that the parser makes."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import get_args

from unblur.app.commands import COMMANDS
from unblur.errors import UnblurError
from unblur.names import Mode

FORMER_COMMANDS = {
    "similarity": "feature_similarity",
    "study bpp": "blur_pretraining",
    "study cost": "generation_cost",
    "study cross-dataset": "cross_dataset",
    "study fidelity": "fidelity",
    "study glow": "glow_ablation",
    "study losses": "loss_comparison",
    "study prior": "prior_ablation",
    "study prior-cost": "prior_cost",
    "study readability": "readability",
    "study reconstruction": "reconstruction",
    "study release": "release",
    "study severity": "severity",
    "study sizes": "network_sizes",
}
"""Former commands, and the experiments that they have become."""

LIKENESS = 0.75
"""Similarity, from 0 to 1, from which on a word is taken for a misspelt command."""

ELSEWHERE = {
    **{f"--{mode}": f"--mode {mode}" for mode in get_args(Mode)},
    "--force": "--overwrite",
    "--output-dir": "--output",
    "--resume": "--skip-existing",
    "-f": "--overwrite",
    "-m": "--mode",
    "-v": "-V, which prints the version",
}
"""Options of other programs and plausible ones, and ours for the same purpose in `unblur restore`."""


COMMANDS_ELSEWHERE = {
    "completion": "unblur --print-completion bash",
    "completions": "unblur --print-completion bash",
    "deblur": "unblur photo.jpg",
    "serve": "unblur web",
    "version": "unblur --version",
    "watch": "unblur FOLDER --watch",
}
"""Commands of other programs, and ours for the same purpose."""


def refuse_unknown_command(arguments: Sequence[str]) -> None:
    """Raise UnblurError if the first of `arguments` looks like a misspelt or former command and names no file."""
    _refuse_moved(arguments)
    word = arguments[0]
    if word.startswith("-") or "." in word or Path(word).exists():
        return
    similar = get_close_matches(word.lower(), [*COMMANDS, "help"], n=1, cutoff=LIKENESS)
    suggestion = f"unblur {similar[0]}" if similar else COMMANDS_ELSEWHERE.get(word.lower())
    if suggestion:
        raise UnblurError(f'There is no command and no file "{word}"; did you mean `{suggestion}`?')


def refuse_foreign_options(arguments: Sequence[str]) -> None:
    """Raise UnblurError with our name for an option of `unblur restore` if one of `arguments` has that of others."""
    for argument in arguments:
        if argument == "--":
            return
        option = argument.partition("=")[0]
        if option in ELSEWHERE:
            raise UnblurError(f"There is no option {option}; did you mean {ELSEWHERE[option]}?")


def find_command(name: str) -> str:
    """Return `name` if it is a command. Raises UnblurError, with a similar one if there is one."""
    if name in COMMANDS:
        return name
    similar = get_close_matches(name.lower(), list(COMMANDS), n=1, cutoff=LIKENESS)
    hint = f"did you mean `unblur help {similar[0]}`?" if similar else "`unblur help` lists the commands."
    raise UnblurError(f'There is no command "{name}"; {hint}')


def _refuse_moved(arguments: Sequence[str]) -> None:
    """Raise UnblurError with the new place of a command that has become an experiment."""
    former = next((name for name in (arguments[0], " ".join(arguments[:2])) if name in FORMER_COMMANDS), None)
    if former is None and arguments[0] != "study":
        return
    experiment = f"experiments.{FORMER_COMMANDS[former]}" if former else "experiments"
    raise UnblurError(
        f"`unblur {former or 'study'}` has moved to `python -m {experiment}`, which runs in a clone of the repository."
    )
