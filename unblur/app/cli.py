"""The command `unblur`: selects a subcommand, runs it, and turns every failure into a sentence and an exit code.

Exit codes: 0 all done, 1 some photographs failed, 2 wrong usage or nothing to work with, 130 interrupted.
A new command is a function, typed and documented, that returns the exit code, and one line in GROUPS.
"""

import io
import os
import sys
from collections.abc import Callable, Sequence

from unblur.app.bench_command import bench
from unblur.app.bundle_command import bundle
from unblur.app.check_command import check
from unblur.app.convert_command import convert
from unblur.app.datasets_command import datasets
from unblur.app.evaluate_command import evaluate
from unblur.app.export_command import export
from unblur.app.inspect_command import inspect
from unblur.app.patterns_command import patterns
from unblur.app.renamed_options import refuse_renamed
from unblur.app.restore_command import restore
from unblur.app.simulate_command import simulate
from unblur.app.tables_command import tables
from unblur.app.threads import wait_briefly
from unblur.app.train_command import train
from unblur.app.validation_command import validation
from unblur.app.video_command import video
from unblur.app.web_command import web
from unblur.errors import UnblurError

OK, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


GROUPS: dict[str, dict[str, Callable[..., int]]] = {
    "photographs and videos": {"restore": restore, "inspect": inspect, "video": video, "web": web},
    "training and measuring": {"train": train, "evaluate": evaluate, "tables": tables, "bench": bench},
    "data sets": {
        "simulate": simulate,
        "validation": validation,
        "datasets": datasets,
        "check": check,
        "patterns": patterns,
    },
    "checkpoints": {"convert": convert, "export": export, "bundle": bundle},
}
"""Commands by purpose, in the order of the help."""

COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}

MOVED = {
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run `unblur` with the given arguments, by default those of the process, and return the exit code."""
    if argv is None:
        # Only a process of our own may change its environment.
        wait_briefly()
    for stream in (sys.stdout, sys.stderr):
        # A file name that the terminal's encoding lacks is shown escaped; it must not end the batch.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(list(sys.argv[1:] if argv is None else argv))
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
    if not argv or argv[0] in ("-h", "--help"):
        (sys.stdout if argv else sys.stderr).write(_help())
        return OK if argv else WRONG_USAGE
    if argv[0] == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"unblur {version('unblur')}\n")
        return OK
    # Without a command the arguments are photographs to restore.
    _refuse_moved(argv)
    refuse_renamed(argv)
    name = argv.pop(0) if argv[0] in COMMANDS else "restore"
    import tyro

    return tyro.cli(COMMANDS[name], args=argv, prog=f"unblur {name}", config=(tyro.conf.FlagCreatePairsOff,))


def _refuse_moved(argv: list[str]) -> None:
    """Raise UnblurError with the new place of a command that has become an experiment."""
    former = next((name for name in (argv[0], " ".join(argv[:2])) if name in MOVED), None)
    if former is None and argv[0] != "study":
        return
    experiment = f"experiments.{MOVED[former]}" if former else "experiments"
    raise UnblurError(
        f"`unblur {former or 'study'}` has moved to `python -m {experiment}`, which runs in a clone of the repository."
    )


def _help() -> str:
    width = max(map(len, COMMANDS))

    def listed(group: dict[str, Callable[..., int]]) -> str:
        summaries = {name: (command.__doc__ or "").partition("\n")[0] for name, command in group.items()}
        return "\n".join(f"  {name:<{width}}  {summary}" for name, summary in summaries.items())

    groups = "\n\n".join(f"{title}:\n{listed(group)}" for title, group in GROUPS.items())
    return f"""\
usage: unblur PHOTO...            writes PHOTO_unblurred beside each photograph
       unblur COMMAND [options]

{groups}

  unblur COMMAND --help   shows the options of a command
  unblur --version        shows the version
"""
