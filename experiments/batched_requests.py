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
from unblur.photos.files import read_photo
from unblur.restoration.loading import load
from unblur.restoration.windows import to_float, to_tensor

PRECISIONS: tuple[Precision, ...] = ("bfloat16", "float32")

HEADER = (
    "precision",
    "side, px",
    "results that differ",
    "largest difference, levels of 255",
    "alone, processor s",
    "as a batch, processor s",
)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Pictures of one size, restored alone and as one batch."""

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
    checkpoint: str | None = None,
) -> int:
    """Measure whether pictures of one size have the results in a batch that they have alone.

    Args:
        photo: A photograph, of which squares are cut.
        output: Where to write the table, as Markdown and CSV.
        sides: Sides of the squares in pixels.
        batch: Number of squares in a batch.
        checkpoint: Another network than the bundled one.
    """
    if batch < 2:
        raise UnblurError("--batch must be at least 2.")
    output.mkdir(parents=True, exist_ok=True)
    report = ProgressBars()
    lines = []
    for precision in PRECISIONS:
        restorer = load(checkpoint, precision=precision, shake="off", runtime="torch")
        for number, side_px in enumerate(sides):
            report(precision, number, len(sides))
            found = compare(restorer.apply_network, cut_squares(photo, side_px, batch))
            different = f"{found.different} of {batch}"
            times = (f"{found.alone_s:.2f}", f"{found.batch_s:.2f}")
            lines.append((precision, str(side_px), different, f"{found.largest_levels:.5f}", *times))
    report.close()
    table = Table(header=HEADER, lines=tuple(lines))
    write_table(output, "batches", f"# Batches of {batch} pictures", table.markdown(), table.csv())
    return 0


def cut_squares(photo: Path, side_px: int, count: int) -> list[Tensor]:
    """Return `count` squares along the diagonal of a photograph, (1, 3, side, side) in [0, 1].

    Raises UnblurError for a photograph that is smaller.
    """
    pixels = read_photo(photo).pixels
    height, width = pixels.shape[:2]
    if min(height, width) < side_px:
        raise UnblurError(f"{photo} has {width} x {height} pixels; give a larger photograph, or smaller --sides.")
    corners = [((height - side_px) * n // (count - 1), (width - side_px) * n // (count - 1)) for n in range(count)]
    cuts = [np.ascontiguousarray(pixels[top : top + side_px, left : left + side_px]) for top, left in corners]
    return [to_tensor(to_float(cut), torch.device("cpu")) for cut in cuts]


def compare(network: Callable[[Tensor], Tensor], pictures: list[Tensor]) -> Comparison:
    """Apply a network, (B, 3, H, W) -> same, to pictures alone and as one batch, and compare the results."""
    with torch.inference_mode():
        network(pictures[0])
        began = time.process_time()
        alone = [network(picture) for picture in pictures]
        between = time.process_time()
        batch = network(torch.cat(pictures))
        ended = time.process_time()
    differences = [float((one - other).abs().max()) for one, other in zip(alone, batch, strict=True)]
    return Comparison(
        different=sum(difference > 0 for difference in differences),
        largest_levels=255 * max(differences),
        alone_s=between - began,
        batch_s=ended - between,
    )


if __name__ == "__main__":
    sys.exit(run(batched_requests))
