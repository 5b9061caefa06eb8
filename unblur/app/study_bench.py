"""What the studies that train rows of a table have in common on the command line: their bench and their bars."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unblur.app.output_file import write_output
from unblur.errors import UnblurError
from unblur.names import StudyNetwork

if TYPE_CHECKING:
    from unblur.studies.rows import Bench


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


def open_bench(
    *,
    network: StudyNetwork,
    steps: int,
    patch: int,
    batch: int,
    seed: int,
    photos: Path | None,
    output: Path,
    device: str,
    bars: Bars,
) -> "Bench":
    """The bench that the options describe. Raises UnblurError for options that are none."""
    from unblur.restoration.device import choose_device
    from unblur.studies.networks import study_recipe
    from unblur.studies.rows import Bench
    from unblur.training.allocator import keep_freed_memory

    if min(steps, patch, batch) < 1:
        raise UnblurError("--steps, --patch and --batch must be at least 1.")
    keep_freed_memory()
    recipe = study_recipe(network, steps=steps, patch_px=patch, batch=batch, seed=seed)
    return Bench(recipe=recipe, photos=photos, output=output, device=str(choose_device(device)), report=bars)


def finish(output: Path, name: str, title: str, markdown: str, csv: str) -> None:
    """Print the table, and keep it in `output` as `name`.md and .csv."""
    text = f"{title}\n\n{markdown}"
    write_output(output / f"{name}.md", text.encode())
    write_output(output / f"{name}.csv", csv.encode())
    sys.stdout.write(text)
