"""`unblur study sizes`: which shape of the network gains most in a given time."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro

from unblur.app.output_file import write_output
from unblur.app.study_bench import only_one
from unblur.errors import UnblurError


def sizes(
    *,
    photos: Path,
    held_out: Path,
    seconds: float = 300.0,
    size: int = 192,
    only: int | None = None,
    csv: Annotated[Path | None, tyro.conf.arg(name="csv")] = None,
) -> int:
    """Train shapes of the bundled network for equal processor time on the same data and compare what they gain.

    They are compared on the validation set, by PSNR gained and processor seconds per megapixel.

    Args:
        photos: Folder of sharp photographs to train on.
        held_out: Folder of sharp photographs for the validation set.
        seconds: Processor seconds that each candidate may be trained for, estimated from its first steps, which are
            the dearest because no simulated pair is used again yet; the table says what it took.
        size: Side of the validation set's pictures in pixels.
        only: Number of one candidate, from 0, instead of all: processes can share the work.
        csv: File for the table.
    """
    from unblur.datasets import PhotoFolder
    from unblur.datasets.validation import ValidationSet, validation_pairs
    from unblur.recipes.sizes import sizes as all_candidates
    from unblur.studies.sizes import measured_size, size_csv, size_table
    from unblur.training.allocator import keep_freed_memory

    if seconds <= 0:
        raise UnblurError(f"Candidates need some time to be trained in, not {seconds} seconds; give more.")
    candidates = only_one(all_candidates(), only, "candidate")
    keep_freed_memory()
    pairs = list(validation_pairs(PhotoFolder(held_out), replace(ValidationSet(), size_px=size)))
    measured = [measured_size(recipe, photos, seconds, pairs) for recipe in candidates]
    sys.stdout.write(size_table(measured).markdown())
    if csv is not None:
        write_output(csv, size_csv(measured).encode())
    return 0
