"""Measure simulated photographs of known blur, to fit or to measure the blur report.

`python -m experiments.blur_examples PHOTOS -o FILE` blurs the photographs of a folder in every kind of
`experiments.blur_kinds` and writes what `unblur.inspect` measures of them beside the truth. Several processes share the
work: `--start 0 --every 4`, `--start 1 --every 4` and so on, each with a file of its own. An interrupted run continues
with the photographs that its file lacks; give another file for other settings.
"""

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from experiments.blur_kinds import CELL_PX, KnownBlur, simulate
from experiments.harness import run
from unblur.app.output_file import write_output
from unblur.blur.undirected import undirected
from unblur.datasets.photo_folder import find_photos
from unblur.errors import UnblurError
from unblur.restoration.blur_report import Kind
from unblur.restoration.blur_windows import WINDOW_PX, WindowMeter, Windows
from unblur.restoration.noise_level import noise_level
from unblur.restoration.restorer import load

LEAST_SHARE = 0.5
"""Share of a window's textured places that have to be of one kind for the window to be of it."""


@dataclass(frozen=True, kw_only=True)
class BlurExample:
    """A simulated photograph, what was measured of it, and the truth."""

    name: str
    kind: Kind
    noisy: bool
    compressed: bool
    windows: Windows
    truth: Tensor
    """(N,): 0 sharp, 1 moved, 2 out of focus for each window, -1 where no kind covers most of it."""
    window_length_px: Tensor
    """(N,): median length of the true paths of the places of each window that moved, 0 where none did."""
    radius_px: float
    """Radius of the disk of photographs out of focus."""
    length_px: float
    """Median length of the true paths of all places that moved, 0 where none did."""
    doubled: Tensor
    """(2,): mean of the true motions of these places with doubled angle, x to the right and y downwards, in pixels."""
    noise_level: float


def make(
    photos: tyro.conf.Positional[Path],
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    count: int = 60,
    seed: int = 1,
    start: int = 0,
    every: int = 1,
    threads: int = 1,
) -> int:
    """Simulate photographs of known blur and measure them.

    Args:
        photos: Folder of sharp photographs.
        output: File of the examples.
        count: How many of the photographs, evenly spread, each in four kinds.
        seed: Names everything that is random.
        start: The first of these photographs.
        every: Step from one of these photographs to the next.
        threads: Processor threads.
    """
    torch.set_num_threads(threads)
    found = find_photos(photos)
    chosen = found[:: max(1, len(found) // count)][:count]
    numbers = range(start, len(chosen), every)
    meter = WindowMeter(load(device="cpu", shake="off").apply_network)
    examples = open_examples([output]) if output.exists() else []
    finished = {example.name for example in examples}
    for number in tqdm(numbers, unit="photo", disable=not sys.stderr.isatty()):
        if chosen[number].name in finished:
            continue
        # One photograph at a time, written at once: an interrupted run continues.
        examples += [_measured(meter, known) for known in simulate(chosen, seed, number, len(chosen))]
        data = io.BytesIO()
        torch.save([_to_tensors(example) for example in examples], data)
        output.parent.mkdir(parents=True, exist_ok=True)
        write_output(output, data.getvalue())
    return 0


def open_examples(files: Sequence[Path]) -> list[BlurExample]:
    """Return the examples of several files. Raises UnblurError where a file is missing or holds none."""
    examples = []
    for file in files:
        try:
            rows = torch.load(file, weights_only=True)
            examples += [BlurExample(**row | {"windows": Windows(**row["windows"])}) for row in rows]
        except (OSError, RuntimeError, TypeError, KeyError, ValueError, EOFError) as error:
            raise UnblurError(f"{file} holds no examples; make them by python -m experiments.blur_examples.") from error
    if not examples:
        raise UnblurError("There are no examples; name at least one file of python -m experiments.blur_examples.")
    return examples


def _to_tensors(example: BlurExample) -> dict[str, Any]:
    return vars(example) | {"windows": vars(example.windows)}


def _measured(meter: WindowMeter, known: KnownBlur) -> BlurExample:
    windows = meter.measure(known.image)
    truth, lengths = [], []
    for left, top in windows.corners:
        rows, columns = _cells_of(top), _cells_of(left)
        cells, length_px = known.cells[rows, columns], known.length_px[rows, columns]
        shares = torch.stack([(cells == kind).float().mean() for kind in range(3)])
        truth.append(int(shares.argmax()) if float(shares.max()) >= LEAST_SHARE else -1)
        moved = length_px[cells == 1]
        lengths.append(float(moved.median()) if len(moved) else 0.0)
    moved = known.cells == 1
    motion = undirected(-known.ends / 2, known.ends / 2)[2:, moved]
    pixels = (known.image.permute(1, 2, 0) * 255).round().byte().numpy()
    return BlurExample(
        name=known.name,
        kind=known.kind,
        noisy=known.noisy,
        compressed=known.compressed,
        windows=windows,
        truth=torch.tensor(truth),
        window_length_px=torch.tensor(lengths),
        radius_px=known.radius_px,
        length_px=float(known.length_px[moved].median()) if bool(moved.any()) else 0.0,
        doubled=motion.mean(dim=1) if bool(moved.any()) else torch.zeros(2),
        noise_level=noise_level(pixels),
    )


def _cells_of(start_px: int) -> slice:
    return slice(start_px // CELL_PX, max(start_px + WINDOW_PX, CELL_PX) // CELL_PX)


if __name__ == "__main__":
    sys.exit(run(make))
