"""`unblur`: finds the command that was meant, runs it, and turns every failure into a sentence and a code.

Exit codes: 0 all done, 1 some photographs failed, 2 wrong usage or nothing to work with, 130 interrupted.
A new command is a function, typed and documented, that returns the exit code, and one line in COMMANDS or STUDIES.
"""

import io
import os
import sys
from collections.abc import Callable, Sequence

from unblur.app.bench_command import bench
from unblur.app.bpp_command import bpp
from unblur.app.bundle_command import bundle
from unblur.app.check_command import check
from unblur.app.convert_command import convert
from unblur.app.cost_command import cost
from unblur.app.cross_dataset_command import cross_dataset
from unblur.app.datasets_command import datasets
from unblur.app.evaluate_command import evaluate
from unblur.app.fidelity_command import fidelity
from unblur.app.glow_command import glow
from unblur.app.losses_command import losses
from unblur.app.patterns_command import patterns
from unblur.app.prior_cost_command import prior_cost
from unblur.app.prior_study_command import prior
from unblur.app.readability_command import readability
from unblur.app.reconstruction_command import reconstruction
from unblur.app.release_command import release
from unblur.app.restore_command import restore
from unblur.app.severity_command import severity
from unblur.app.similarity_command import similarity
from unblur.app.simulate_command import simulate
from unblur.app.sizes_command import sizes
from unblur.app.tables_command import tables
from unblur.app.threads import wait_briefly
from unblur.app.train_command import train
from unblur.app.validation_command import validation
from unblur.app.web_command import web
from unblur.errors import UnblurError

OK, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


STUDIES: dict[str, Callable[..., int]] = {
    "cross-dataset": cross_dataset,
    "bpp": bpp,
    "severity": severity,
    "glow": glow,
    "fidelity": fidelity,
    "sizes": sizes,
    "losses": losses,
    "readability": readability,
    "prior": prior,
    "prior-cost": prior_cost,
    "cost": cost,
    "reconstruction": reconstruction,
    "release": release,
}


def study(argv: Sequence[str]) -> int:
    """Experiments that decide something about this project, as commands that anyone can repeat."""
    import tyro

    code: int = tyro.extras.subcommand_cli_from_dict(
        STUDIES, args=argv, prog="unblur study", description=study.__doc__, config=(tyro.conf.FlagCreatePairsOff,)
    )
    return code


COMMANDS: dict[str, Callable[..., int]] = {
    "restore": restore,
    "web": web,
    "evaluate": evaluate,
    "tables": tables,
    "train": train,
    "convert": convert,
    "bundle": bundle,
    "validation": validation,
    "check": check,
    "datasets": datasets,
    "simulate": simulate,
    "patterns": patterns,
    "similarity": similarity,
    "bench": bench,
    "study": study,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `unblur` with the given arguments, by default the process's own. The exit code."""
    if argv is None:
        # The process is ours.
        wait_briefly()
    for stream in (sys.stdout, sys.stderr):
        # A file name that the terminal's encoding lacks is shown escaped; it must not end the batch.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(list(sys.argv[1:] if argv is None else argv))
    except UnblurError as error:
        sys.stderr.write(f"unblur: {error}\n")
        return WRONG_USAGE
    except SystemExit as stop:
        # The parser's way of saying that it has said everything.
        return stop.code if isinstance(stop.code, int) else WRONG_USAGE
    except KeyboardInterrupt:
        sys.stderr.write("unblur: interrupted.\n")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output, `head` perhaps, has seen enough. Python must not try to flush it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:
        from unblur.app.report import printable, reason_of

        sys.stderr.write(f"unblur: {printable(reason_of(error))}\n")
        return FAILED


def _run(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        (sys.stdout if argv else sys.stderr).write(_help())
        return OK if argv else WRONG_USAGE
    if argv[0] == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"unblur {version('unblur')}\n")
        return OK
    # `unblur photo.jpg` is what most people want to type.
    name = argv.pop(0) if argv[0] in COMMANDS else "restore"
    if name == "study":
        return study(argv)
    import tyro

    return tyro.cli(COMMANDS[name], args=argv, prog=f"unblur {name}", config=(tyro.conf.FlagCreatePairsOff,))


def _help() -> str:
    summaries = {name: (command.__doc__ or "").partition("\n")[0] for name, command in COMMANDS.items()}
    width = max(map(len, summaries))
    commands = "\n".join(f"  {name:<{width}}  {summary}" for name, summary in summaries.items())
    return f"""\
usage: unblur PHOTO...            writes PHOTO_unblurred beside each photograph
       unblur COMMAND [options]

commands:
{commands}

  unblur COMMAND --help   shows the options of a command
  unblur --version        shows the version
"""
