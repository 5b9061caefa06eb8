"""Where the pictures of a pair lie, and how they are read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unblur.datasets.mat_file import read_variable
from unblur.datasets.pair import Pair
from unblur.errors import UnblurError
from unblur.photos.files import read_photo


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A photograph on disk, or a variable of a MATLAB file."""

    path: Path
    variable: str = ""


@dataclass(frozen=True, kw_only=True)
class PairFiles:
    """A blurry photograph and its ground truth, as files."""

    name: str
    """Unique in its split; may stand as the name of a file."""
    blurry: Picture
    sharps: tuple[Picture, ...] = ()
    """None where the truth is unknown; several where the camera's whole way was recorded, in the order of time."""

    @property
    def sharp(self) -> Picture | None:
        """The sharp photograph, of several that in the middle of the exposure; None where there is none."""
        return self.sharps[len(self.sharps) // 2] if self.sharps else None


def read_pair(files: PairFiles) -> Pair:
    """The pair itself. Raises UnblurError for a picture that cannot be read, and for pictures of unequal size."""
    blurry, sharp = read_twins(files)
    return Pair(blurry=blurry.float() / 255, sharp=sharp.float() / 255, name=files.name)


def read_twins(files: PairFiles) -> tuple[Tensor, Tensor]:
    """The blurry and the sharp photograph, (3, H, W) uint8 each. Errors as in `read_pair`."""
    if files.sharp is None:
        raise UnblurError(f"{files.blurry.path} has no sharp twin to be compared with; use `unblur restore` on it.")
    blurry, sharp = read_picture(files.blurry), read_picture(files.sharp)
    if blurry.shape != sharp.shape:
        raise UnblurError(
            f"{files.blurry.path} and its sharp twin {files.sharp.path} differ in size, {size_of(blurry)} and "
            f"{size_of(sharp)}; crop them alike."
        )
    return blurry, sharp


def read_picture(picture: Picture) -> Tensor:
    """(3, H, W) uint8; of a MATLAB variable with several pictures the middle one. Raises UnblurError."""
    return _read_array(picture) if picture.variable else read_rgb(picture.path)


def read_rgb(path: Path) -> Tensor:
    """A photograph as (3, H, W) uint8; grey becomes RGB, alpha is dropped, 16 bits are rounded to 8."""
    photo = read_photo(path)
    pixels = photo.pixels
    if photo.bit_depth == 16:
        pixels = ((pixels.astype("uint32") + 128) // 257).astype("uint8")
    return torch.from_numpy(pixels).permute(2, 0, 1).expand(3, -1, -1).contiguous()


def size_of(picture: Tensor) -> str:
    """Width and height as people write them."""
    return f"{picture.shape[-1]} x {picture.shape[-2]}"


def _read_array(picture: Picture) -> Tensor:
    array = read_variable(picture.path, picture.variable)
    if array.ndim == 4:
        array = array[:, :, :, array.shape[3] // 2]
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3) or 0 in array.shape:
        raise UnblurError(f"{picture.path}: {picture.variable} has the shape {array.shape}, which is no picture.")
    if array.dtype != np.uint8:
        # As MATLAB shows them, numbers with a fraction are in [0, 1]; beyond 2 they can only mean that 255 is white.
        white = 1 if array.max() <= 2 else 255
        array = np.round(np.clip(array.astype(np.float64) / white, 0, 1) * 255).astype(np.uint8)
    return torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1).expand(3, -1, -1).contiguous()
