"""The command `unblur`: selects a subcommand, runs it, and turns every failure into a sentence and an exit code.

Exit codes: 0 all done, 1 some photographs failed, 2 wrong usage or nothing to work with, 130 interrupted.
"""

import io
import os
import sys
from collections.abc import Sequence

from unblur.app.commands import COMMANDS
from unblur.app.completion import read_completion_script
from unblur.app.help_texts import describe_commands, format_examples, join_help_lines
from unblur.app.interruption import end_process
from unblur.app.renamed_options import refuse_renamed
from unblur.app.suggestions import find_command, refuse_foreign_options, refuse_unknown_command
from unblur.app.threads import wait_briefly
from unblur.errors import UnblurError

OK, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

HELP = ("-h", "--help", "help")
VERSION = ("-V", "--version")


def main(argv: Sequence[str] | None = None) -> int:
    """Run `unblur` with the given arguments, by default those of the process, and return the exit code."""
    if argv is not None:
        return _run_safely(list(argv))
    # Only a process of our own may change its environment, and be left while threads compute.
    wait_briefly()
    arguments = sys.argv[1:]
    code = _run_safely(arguments)
    if arguments and "torch" in sys.modules and COMMANDS.get(arguments[0], COMMANDS["restore"]).ends_at_once:
        end_process(code)
    return code


def _run_safely(argv: list[str]) -> int:
    """Run the command line, and turn every error into a sentence and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A file name that the terminal's encoding lacks is shown escaped; it must not end the batch.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(argv)
    except UnblurError as error:
        from unblur.app.report import printable

        # On one line, even if a quoted file name has line breaks.
        sys.stderr.write(f"unblur: {printable(str(error))}\n")
        return WRONG_USAGE
    except SystemExit as stop:
        # The parser has written its message already.
        return stop.code if isinstance(stop.code, int) else WRONG_USAGE
    except KeyboardInterrupt:
        sys.stderr.write("unblur: interrupted.\n")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output, perhaps `head`, has closed the pipe. Python must not try to flush it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:
        from unblur.app.report import describe_error, printable

        sys.stderr.write(f"unblur: {printable(describe_error(error))}\n")
        return FAILED


def _run(argv: list[str]) -> int:
    match argv:
        case []:
            sys.stderr.write(describe_commands())
            return WRONG_USAGE
        case [option] if option in HELP:
            sys.stdout.write(describe_commands())
            return OK
        case [option, name, *_] if option in HELP:
            return _run_command(find_command(name), ["--help"])
        case [option, *_] if option in VERSION:
            from importlib.metadata import version

            sys.stdout.write(f"unblur {version('unblur')}\n")
            return OK
        case ["--print-completion", *shells]:
            sys.stdout.write(read_completion_script(shells))
            return OK
        case [name, *rest] if name in COMMANDS:
            return _run_command(name, rest)
    # Without a command the arguments are photographs to restore.
    refuse_unknown_command(argv)
    return _run_command("restore", argv)


def _run_command(name: str, arguments: list[str]) -> int:
    refuse_renamed(arguments)
    if name == "restore":
        refuse_foreign_options(arguments)
    import tyro

    command = COMMANDS[name]
    try:
        return tyro.cli(
            join_help_lines(command.load()),
            args=arguments,
            prog=f"unblur {name}",
            config=(tyro.conf.FlagCreatePairsOff,),
        )
    except SystemExit as stop:
        if stop.code == OK:
            # The parser has written its help.
            sys.stdout.write(f"\n{format_examples(command)}")
        raise
