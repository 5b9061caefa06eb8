"""Shared code of the experiments' command lines: running, progress, locked settings, tables."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, TypeVar

import tyro
from tqdm import tqdm

from unblur.app.output_file import make_write_error, write_output
from unblur.app.renamed_options import refuse_renamed
from unblur.checkpoints.old_names import modernize_json
from unblur.config import from_json, to_json
from unblur.errors import UnblurError
from unblur.evaluation.measured_pictures import MeasuredPictures, find_pictures

WRONG_USAGE, INTERRUPTED = 2, 130

Report = Callable[[str, int, int], None]
"""Called during an experiment with the name of the current part, how much of it is done, and how much there is."""

Candidate = TypeVar("Candidate")


def run(command: Callable[..., int], arguments: Sequence[str] | None = None) -> int:
    """Run an experiment with `arguments`, by default those of the process, and return its exit code.

    The command of `experiments.NAME` is the function `NAME`. An UnblurError becomes one sentence on stderr and code 2.
    """
    name = Path(command.__code__.co_filename).stem
    try:
        refuse_renamed(sys.argv[1:] if arguments is None else arguments)
        return tyro.cli(
            command, args=arguments, prog=f"python -m experiments.{name}", config=(tyro.conf.FlagCreatePairsOff,)
        )
    except UnblurError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return WRONG_USAGE
    except SystemExit as stop:
        # The parser exits like this after it has printed its help or an error.
        return stop.code if isinstance(stop.code, int) else WRONG_USAGE
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted.\n")
        return INTERRUPTED


class ProgressBars:
    """A `Report` that shows one progress bar after the other on a terminal, and nothing elsewhere."""

    def __init__(self) -> None:
        self._what = ""
        self._bar: Any = None

    def __call__(self, what: str, done: int, of: int) -> None:
        """Show that `done` of `of` steps of the part `what` are done."""
        if what != self._what:
            self.close()
            self._what, self._bar = what, tqdm(total=of, desc=what, disable=not sys.stderr.isatty())
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Close the last bar."""
        if self._bar is not None:
            self._bar.close()


def lock_settings(folder: Path, settings: object) -> None:
    """Write `settings`, a frozen dataclass, to study.json in `folder`, or check that the same are there.

    A folder belongs to one experiment with one set of settings. Raises UnblurError for other settings and when the
    folder cannot be written.
    """
    file = folder / "study.json"
    try:
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_output(file, to_json(settings).encode())
        stored = from_json(modernize_json(file.read_text(encoding="utf-8")), type(settings), file)
    except OSError as error:
        raise make_write_error(folder, error) from error
    if stored != settings:
        raise UnblurError(
            f"{folder} holds a study with other steps, photographs, sizes or networks; give another folder."
        )


def select_one(candidates: Sequence[Candidate], number: int | None, what: str) -> Sequence[Candidate]:
    """Return the candidate with this number alone, or all for None.

    Raises UnblurError for a number that does not exist; `what` names the candidates in its message.
    """
    if number is None:
        return candidates
    if not 0 <= number < len(candidates):
        raise UnblurError(f"There is no {what} {number}; give a number from 0 to {len(candidates) - 1}.")
    return candidates[number : number + 1]


def sample_images(folder: Path, count: int | None) -> MeasuredPictures:
    """Return the images of a folder, at most `count` of them, evenly spread. Raises UnblurError without any."""
    if count is not None and count < 1:
        raise UnblurError("--pictures must be at least 1.")
    found = find_pictures(folder)
    return found if count is None else found.evenly(count)


def format_mean(values: Sequence[float], digits: int, sign: str = "") -> str:
    """Format the mean of `values` with their standard deviation, or a single value alone; "+" writes its sign."""
    mean = f"{fmean(values):{sign}.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {stdev(values):.{digits}f}"


def write_table(output: Path, name: str, title: str, markdown: str, csv: str) -> None:
    """Print a table, and write it to `name`.md and `name`.csv in `output`."""
    text = f"{title}\n\n{markdown}"
    write_output(output / f"{name}.md", text.encode())
    write_output(output / f"{name}.csv", csv.encode())
    sys.stdout.write(text)
