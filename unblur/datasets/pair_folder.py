"""Pairs on disk: a folder with `blurry/` and `sharp/` that hold photographs of equal names."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from unblur.datasets.pair import Pair
from unblur.errors import UnblurError
from unblur.photos.files import read_photo
from unblur.photos.formats import READABLE_SUFFIXES


class PairFolder:
    """The pairs below `folder`, in the order of their names.

    Raises UnblurError when a folder is missing, a photograph lacks its twin, or their sizes differ.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = {}
        for side in ("blurry", "sharp"):
            if not (folder / side).is_dir():
                raise UnblurError(f"{folder} has no {side}/ folder; a pair folder needs blurry/ and sharp/.")
            names[side] = {p.name for p in (folder / side).iterdir() if p.suffix.lower() in READABLE_SUFFIXES}
        if unpaired := sorted(names["blurry"] ^ names["sharp"]):
            raise UnblurError(
                f"{folder}: {len(unpaired)} photographs lack a twin of the same name in blurry/ or sharp/, "
                f"for example {unpaired[0]}."
            )
        self.names = sorted(names["blurry"])
        if not self.names:
            raise UnblurError(f"{folder} holds no photographs in blurry/ and sharp/.")

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Pair]:
        for name in self.names:
            pair = Pair(
                blurry=read_rgb(self.folder / "blurry" / name).float() / 255,
                sharp=read_rgb(self.folder / "sharp" / name).float() / 255,
                name=name,
            )
            if pair.blurry.shape != pair.sharp.shape:
                raise UnblurError(
                    f"{self.folder}: blurry and sharp {name} differ in size, "
                    f"{tuple(pair.blurry.shape[1:])} and {tuple(pair.sharp.shape[1:])}; crop them alike."
                )
            yield pair


def read_rgb(path: Path) -> Tensor:
    """A photograph as (3, H, W) uint8; grey becomes RGB, alpha is dropped, 16 bits are rounded to 8."""
    photo = read_photo(path)
    pixels = photo.pixels
    if photo.bit_depth == 16:
        pixels = ((pixels.astype("uint32") + 128) // 257).astype("uint8")
    return torch.from_numpy(pixels).permute(2, 0, 1).expand(3, -1, -1).contiguous()
