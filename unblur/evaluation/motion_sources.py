"""Reads the motion of a data set from its ground truth, or estimates it from its photographs."""

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from unblur.blur.undirected import to_directed
from unblur.datasets.pair_files import read_rgb
from unblur.datasets.photo_folder import find_photos
from unblur.datasets.shard_files import holds_shards
from unblur.datasets.shards import ShardFolder
from unblur.errors import UnblurError
from unblur.evaluation.estimated_motion import MotionError, compute_motion_error, estimate_motion


@dataclass(frozen=True, kw_only=True)
class ImageMotionPaths:
    """The motion of one image."""

    image: str
    start: Tensor
    """(2, h, w): offsets (x, y) in pixels at the start of the exposure, on some grid."""
    end: Tensor
    """The same at its end."""
    estimated: bool
    """Whether the offsets are estimates, which do not distinguish the start from the end."""
    error: MotionError | None = None
    """The error of an estimate whose truth is known."""


def holds_known_motion(folder: Path) -> bool:
    """Return whether the folder holds motion that `read_known_motion` can read."""
    return holds_shards(folder) or any((folder / "motion").glob("*.npz"))


def read_known_motion(folder: Path) -> Iterator[ImageMotionPaths]:
    """Yield the motion of shards of `unblur simulate`, or of motion/*.npz. Raises UnblurError for a damaged file."""
    if holds_shards(folder):
        for pair in ShardFolder(folder):
            yield ImageMotionPaths(image=str(pair.index), start=pair.start, end=pair.end, estimated=False)
        return
    for file in sorted((folder / "motion").glob("*.npz")):
        start, end = _read_offsets(file)
        yield ImageMotionPaths(image=file.stem, start=start, end=end, estimated=False)


def estimate_motions(source: Path | Sequence[Path], estimator: nn.Module) -> Iterator[ImageMotionPaths]:
    """Estimate the motion of the blurry images of shards, of a folder or its blurry/, or of those named.

    Raises UnblurError when there are none, or one cannot be read.
    """
    if isinstance(source, Path) and holds_shards(source):
        for pair in ShardFolder(source):
            path = estimate_motion(estimator, pair.blurry)
            start, end = to_directed(path)
            error = compute_motion_error(path, pair.start, pair.end, pair.curve)
            yield ImageMotionPaths(image=str(pair.index), start=start, end=end, estimated=True, error=error)
        return
    if isinstance(source, Path):
        source = find_photos(source / "blurry" if (source / "blurry").is_dir() else source)
    for photo in source:
        start, end = to_directed(estimate_motion(estimator, read_rgb(photo).float() / 255))
        yield ImageMotionPaths(image=photo.name, start=start, end=end, estimated=True)


def _read_offsets(file: Path) -> tuple[Tensor, Tensor]:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            start, end = (torch.from_numpy(arrays[name]) for name in ("start", "end"))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UnblurError(
            f"{file} cannot be read as motion ({error}); it must hold the arrays start and end, (2, h, w) pixels."
        ) from error
    return start, end
