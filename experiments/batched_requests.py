"""Measure whether pictures of one size that are restored as one batch have the results that they have alone.

`python -m experiments.batched_requests PHOTO -o FOLDER` decides whether the service may join requests that wait into
batches of the network: only if no bit of any result depends on the others.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from torch import Tensor

from experiments.harness import ProgressBars, run, write_table
from unblur.errors import UnblurError
from unblur.evaluation.tables import Table
from unblur.names import Precision
from unblur.photos.reading import read_photo
from unblur.restoration.loading import load
from unblur.restoration.windows import to_float, to_tensor

PRECISIONS: tuple[Precision, ...] = ("bfloat16", "float32")

HEADER = (
    "precision",
    "side, px",
    "results that differ",
    "largest difference, levels of 255",
    "alone, processor s",
    "in batches, processor s",
)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Pictures of one size, restored alone and in batches."""

    different: int
    """Number of pictures of which at least one bit differs."""
    largest_levels: float
    """Largest difference in levels of 255."""
    alone_s: float
    batch_s: float
    """Processor seconds of all pictures."""


def batched_requests(
    photo: tyro.conf.Positional[Path],
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    sides: tuple[int, ...] = (64, 128, 256, 384),
    batch: int = 4,
    batches: int = 4,
    checkpoint: str | None = None,
    seed: int = 0,
) -> int:
    """Measure whether pictures of one size have the results in a batch that they have alone.

    Args:
        photo: A photograph, of which squares are cut.
        output: Where to write the table, as Markdown and CSV.
        sides: Sides of the squares in pixels.
        batch: Number of squares in a batch.
        batches: Number of batches of each size.
        checkpoint: Another network than the bundled one.
        seed: Other places of the squares.
    """
    if batch < 2 or batches < 1:
        raise UnblurError("--batch must be at least 2, and --batches 1.")
    output.mkdir(parents=True, exist_ok=True)
    report = ProgressBars()
    lines = []
    for precision in PRECISIONS:
        restorer = load(checkpoint, precision=precision, shake="off", runtime="torch")
        for number, side_px in enumerate(sides):
            report(precision, number, len(sides))
            found = compare(restorer.apply_network, cut_squares(photo, side_px, batch * batches, seed), batch)
            different = f"{found.different} of {batch * batches}"
            times = (f"{found.alone_s:.2f}", f"{found.batch_s:.2f}")
            lines.append((precision, str(side_px), different, f"{found.largest_levels:.5f}", *times))
    report.close()
    table = Table(header=HEADER, lines=tuple(lines))
    write_table(output, "batches", f"# Batches of {batch} pictures", table.markdown(), table.csv())
    return 0


def cut_squares(photo: Path, side_px: int, count: int, seed: int) -> list[Tensor]:
    """Return squares from random places of a photograph, (1, 3, side, side) in [0, 1].

    Raises UnblurError for a photograph that is smaller.
    """
    pixels = read_photo(photo).pixels
    height, width = pixels.shape[:2]
    if min(height, width) < side_px:
        raise UnblurError(f"{photo} has {width} x {height} pixels; give a larger photograph, or smaller --sides.")
    corners = np.random.default_rng(seed).integers(0, (height - side_px + 1, width - side_px + 1), (count, 2))
    cuts = [np.ascontiguousarray(pixels[top : top + side_px, left : left + side_px]) for top, left in corners]
    return [to_tensor(to_float(cut), torch.device("cpu")) for cut in cuts]


def compare(network: Callable[[Tensor], Tensor], pictures: list[Tensor], batch: int) -> Comparison:
    """Apply a network, (B, 3, H, W) -> same, to pictures alone and in batches, and compare the results."""
    with torch.inference_mode():
        network(pictures[0])
        began = time.process_time()
        alone = [network(picture) for picture in pictures]
        between = time.process_time()
        joined = [network(torch.cat(pictures[start : start + batch])) for start in range(0, len(pictures), batch)]
        ended = time.process_time()
    differences = [float((one - other).abs().max()) for one, other in zip(alone, torch.cat(joined), strict=True)]
    return Comparison(
        different=sum(difference > 0 for difference in differences),
        largest_levels=255 * max(differences),
        alone_s=between - began,
        batch_s=ended - between,
    )


if __name__ == "__main__":
    sys.exit(run(batched_requests))
