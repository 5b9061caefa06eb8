"""What the studies that train rows of a table have in common on the command line: their options, bench and bars."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import tyro

from unblur.app.output_file import write_output
from unblur.errors import UnblurError
from unblur.names import StudyNetwork

if TYPE_CHECKING:
    from unblur.evaluation.measured_pictures import MeasuredPictures
    from unblur.studies.data_sets import StudySet
    from unblur.studies.rows import Bench


Candidate = TypeVar("Candidate")


class Bars:
    """A progress bar for each thing that is done, one after the other; none where nobody sees them."""

    def __init__(self) -> None:
        self._what = ""
        self._bar: Any = None

    def __call__(self, what: str, done: int, of: int) -> None:
        from tqdm import tqdm

        if what != self._what:
            self.close()
            self._what, self._bar = what, tqdm(total=of, desc=what, disable=not sys.stderr.isatty())
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """The last bar stays as it is."""
        if self._bar is not None:
            self._bar.close()


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """Options of every such study."""

    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder for the table, the networks (runs/), every image's numbers (tables/) and simulated pairs."""
    photos: Path | None = None
    """Folder of sharp photographs to train on, for what is simulated."""
    held_out: Path | None = None
    """Folder of other sharp photographs, to test simulated sets on."""
    network: StudyNetwork = "small"
    """What is trained: small, bundled (the bundled network's shape), restormer (the paper's)."""
    steps: int = 20_000
    """Number of updates of every row; after a pretraining, of the fine-tuning."""
    patch: int = 128
    """Side of the training patches in pixels."""
    batch: int = 8
    """Patches of each update."""
    seed: int = 1
    """Names the run: its first weights and all patches follow from it."""
    test_pairs: int | None = None
    """How many pairs of each set to test on, instead of all (of simulated sets 60)."""
    size: int = 256
    """Side of the simulated test pictures in pixels."""
    device: str = "auto"
    """auto, cpu, cuda, ..."""


def open_bench(options: StudyOptions, bars: Bars) -> "Bench":
    """The bench that the options describe. Raises UnblurError for options that are none."""
    from unblur.restoration.device import choose_device
    from unblur.studies.networks import study_recipe
    from unblur.studies.rows import Bench
    from unblur.training.allocator import keep_freed_memory

    if min(options.steps, options.patch, options.batch) < 1:
        raise UnblurError("--steps, --patch and --batch must be at least 1.")
    keep_freed_memory()
    recipe = study_recipe(
        options.network, steps=options.steps, patch_px=options.patch, batch=options.batch, seed=options.seed
    )
    device = str(choose_device(options.device))
    return Bench(recipe=recipe, photos=options.photos, output=options.output, device=device, report=bars)


def open_sets(sets: list[str], options: StudyOptions) -> "list[StudySet]":
    """The data sets of those names, see `study_sets`; simulated ones are kept in the folder sets/ of the output."""
    from unblur.studies.data_sets import study_sets

    return study_sets(
        sets,
        held_out=options.held_out,
        written_to=options.output / "sets",
        pairs=options.test_pairs,
        size_px=options.size,
    )


def only_one(candidates: Sequence[Candidate], number: int | None, what: str) -> Sequence[Candidate]:
    """That of this number alone, or all for None. Raises UnblurError when there is none; `what` names it."""
    if number is None:
        return candidates
    if not 0 <= number < len(candidates):
        raise UnblurError(f"There is no {what} {number}; give a number from 0 to {len(candidates) - 1}.")
    return candidates[number : number + 1]


def some_pictures(folder: Path, count: int | None) -> "MeasuredPictures":
    """The pictures of a folder, at most `count` of them, evenly spread. Raises UnblurError when there are none."""
    from unblur.evaluation.measured_pictures import find_pictures

    if count is not None and count < 1:
        raise UnblurError("--pictures must be at least 1.")
    found = find_pictures(folder)
    return found if count is None else found.evenly(count)


def finish(output: Path, name: str, title: str, markdown: str, csv: str) -> None:
    """Print the table, and keep it in `output` as `name`.md and .csv."""
    text = f"{title}\n\n{markdown}"
    write_output(output / f"{name}.md", text.encode())
    write_output(output / f"{name}.csv", csv.encode())
    sys.stdout.write(text)
