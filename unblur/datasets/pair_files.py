"""Locates and reads the files of a pair."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unblur.datasets.mat_file import read_variable
from unblur.datasets.pair import Pair
from unblur.datasets.shard_files import ShardFiles, format_member_names, read_shard_picture
from unblur.errors import UnblurError
from unblur.photos.photo import round_to_8_bits
from unblur.photos.reading import read_photo


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A photograph on disk, a member of a shard, or a variable of a MATLAB file."""

    path: Path
    member: str = ""
    """Name of the PNG file in the shard at `path`; empty for other pictures."""
    variable: str = ""
    without: tuple[int, ...] = ()
    """Numbers from 1 of the images of a variable that the authors leave out."""


@dataclass(frozen=True, kw_only=True)
class PairFiles:
    """A blurry photograph and its ground truth, as files."""

    name: str
    """Unique in its split; may stand as the name of a file."""
    blurry: Picture
    sharps: tuple[Picture, ...] = ()
    """None where the truth is unknown; several where the camera's whole way was recorded, in the order of time."""
    part: str = ""
    """The part of the split, where the authors report parts on their own: the line of a table that the pair belongs to.
    """

    @property
    def sharp(self) -> Picture | None:
        """The sharp photograph, of several that in the middle of the exposure; None where there is none."""
        return self.sharps[len(self.sharps) // 2] if self.sharps else None


def make_shard_pair(files: ShardFiles, index: int) -> PairFiles:
    """Return the pair with this number in a folder of shards."""
    path = files.locate(index)
    blurry, sharp = (Picture(path=path, member=name) for name in format_member_names(index)[:2])
    return PairFiles(name=f"{index:09d}.png", blurry=blurry, sharps=(sharp,))


def read_pair(files: PairFiles) -> Pair:
    """Read the pair. Raises UnblurError for a picture that cannot be read, and for pictures of unequal size."""
    blurry, sharp = read_matched(files)
    return Pair(blurry=blurry.float() / 255, sharp=sharp.float() / 255, name=files.name)


def read_matched(files: PairFiles) -> tuple[Tensor, Tensor]:
    """Return the blurry and the sharp photograph, (3, H, W) uint8 each. Errors as in `read_pair`."""
    if files.sharp is None:
        raise UnblurError(f"{files.blurry.path} has no sharp twin to be compared with; use `unblur restore` on it.")
    blurry, sharp = read_picture(files.blurry), read_picture(files.sharp)
    if blurry.shape != sharp.shape:
        raise UnblurError(
            f"{files.blurry.path} and its sharp twin {files.sharp.path} differ in size, {format_size(blurry)} and "
            f"{format_size(sharp)}; crop them alike."
        )
    return blurry, sharp


def read_picture(picture: Picture) -> Tensor:
    """Read a picture as (3, H, W) uint8; of a MATLAB variable with several, the middle one. Raises UnblurError."""
    if picture.member:
        return read_shard_picture(picture.path, picture.member)
    if not picture.variable:
        return read_rgb(picture.path)
    stack = _read_stack(picture)
    return _to_eight_bits(stack[..., stack.shape[3] // 2])


def read_frames(files: PairFiles) -> tuple[Tensor, list[Tensor]]:
    """Return the blurry picture and all sharp ones in the order of time, (3, H, W) uint8; Koehler's take 380 MB.

    Raises UnblurError for a picture that cannot be read, where none is sharp, and for pictures of unequal size.
    """
    blurry = read_picture(files.blurry)
    frames: list[Tensor] = []
    for picture in files.sharps:
        if picture.variable:
            stack = _read_stack(picture)
            used = (number for number in range(stack.shape[3]) if number + 1 not in picture.without)
            frames += [_to_eight_bits(stack[..., number]) for number in used]
        else:
            frames.append(read_picture(picture))
    if not frames:
        raise UnblurError(f"{files.blurry.path} has no sharp twin to be compared with; use `unblur restore` on it.")
    if any(frame.shape != blurry.shape for frame in frames):
        raise UnblurError(f"{files.blurry.path} and its sharp twins differ in size; get them again from their origin.")
    return blurry, frames


def read_rgb(path: Path) -> Tensor:
    """Return a photograph as (3, H, W) uint8; grey becomes RGB, alpha is dropped, 16 bits are rounded to 8."""
    pixels = round_to_8_bits(read_photo(path).pixels)
    return torch.from_numpy(pixels).permute(2, 0, 1).expand(3, -1, -1).contiguous()


def format_size(picture: Tensor) -> str:
    """Return the width and height as text."""
    return f"{picture.shape[-1]} x {picture.shape[-2]}"


def _read_stack(picture: Picture) -> NDArray[Any]:
    """Read the array as it is in the file, (H, W, 1 or 3, N)."""
    array = read_variable(picture.path, picture.variable)
    stack = array.reshape(*array.shape, *(1,) * (4 - array.ndim)) if array.ndim in (2, 3) else array
    if stack.ndim != 4 or stack.shape[2] not in (1, 3) or 0 in stack.shape:
        raise UnblurError(f"{picture.path}: {picture.variable} has the shape {array.shape}, which is not a picture.")
    return stack


def _to_eight_bits(array: NDArray[Any]) -> Tensor:
    if array.dtype != np.uint8:
        # As MATLAB shows them, numbers with a fraction are in [0, 1]; beyond 2 they can only mean that 255 is white.
        white = 1 if array.max() <= 2 else 255
        array = np.round(np.clip(array.astype(np.float64) / white, 0, 1) * 255).astype(np.uint8)
    return torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1).expand(3, -1, -1).contiguous()
