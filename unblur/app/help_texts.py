"""The help of `unblur` and the additions to the parser's help of its commands."""

import re
from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any

from unblur.app.commands import COMMANDS, GROUPS, Command

OVERVIEW = """\
Make motion-blurred photographs sharper. Originals are never changed.

usage: unblur PHOTO...              restores photographs
       unblur COMMAND [OPTIONS]

"""

ENDING = """\
options:
  -h, --help                 shows this help
  -V, --version              shows the version
  --print-completion SHELL   prints the completion script for bash, zsh or fish

`unblur help COMMAND` shows the options of a command; docs/guide/restore.md is the guide for photographers.
"""


def describe_commands() -> str:
    """Return the help of `unblur` itself."""
    width = max(map(len, COMMANDS))
    groups = "\n\n".join(
        "\n".join([f"{title}:", *(f"  {command.name:<{width}}  {command.summary}" for command in group)])
        for title, group in GROUPS.items()
    )
    return f"{OVERVIEW}{groups}\n\n{format_examples(COMMANDS['restore'])}\n{ENDING}"


def format_examples(command: Command) -> str:
    """Return the examples of a command as a section of its help."""
    lines = ["examples:"]
    for line, effect in command.examples:
        lines += [f"  {line}", f"      {effect}"]
    return "\n".join(lines) + "\n"


def join_help_lines(command: Callable[..., int]) -> Callable[..., int]:
    """Return `command` with each text of its docstring's arguments on one line; the parser retains line breaks."""

    @wraps(command)
    def run(*arguments: Any, **options: Any) -> int:
        return command(*arguments, **options)

    run.__doc__ = re.sub(r"\n {9,}(?=\S)", " ", command.__doc__ or "")
    # The parser would otherwise read the docstring of the command itself.
    run.__dict__["__signature__"] = signature(run.__dict__.pop("__wrapped__"))
    return run
