"""Patches of real pairs: the same square of a blurry photograph and of its sharp twin, turned alike."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock

import torch
from torch import Tensor

from unblur.datasets.orientation import apply_dihedral
from unblur.datasets.pair import Pair
from unblur.datasets.pair_files import PairFiles, read_matched, read_picture
from unblur.datasets.simulated import PatchSampling, measure_detail
from unblur.errors import UnblurError
from unblur.photos.reading import read_shortest_side_px
from unblur.seeds import make_generator

MEMORY_BYTES = 2**30
"""Bytes of decoded pairs in memory: sets that fit are read from disk once, larger ones a pair a patch."""


class PairPatches:
    """An endless list of patches; item i depends on the files, the sampling, the seed and i only.

    Every pair is drawn equally often. Of `sampling` the size of the patches and the number of candidates count: real
    photographs are neither scaled nor shown without their blur, because noise and the path would no longer fit.
    """

    def __init__(
        self, files: Sequence[PairFiles], sampling: PatchSampling, seed: int, memory_bytes: int = MEMORY_BYTES
    ) -> None:
        """Raises UnblurError when there are no pairs, or one is smaller than a patch."""
        if not files:
            raise UnblurError("There are no pairs to cut patches from; give a data set that has pairs for training.")
        for pair in files:
            _refuse_smaller(pair, sampling.patch_px)
        self.files, self.sampling, self.seed = files, sampling, seed
        self.memory_bytes = memory_bytes
        self._cached: OrderedDict[int, tuple[Tensor, Tensor]] = OrderedDict()
        self._cached_bytes = 0
        self._lock = Lock()

    def __getitem__(self, index: int) -> Pair:
        generator = make_generator(self.seed, "pair patch", index)
        number = int(torch.randint(len(self.files), (), generator=generator))
        return cut_patch(self.files[number].name, lambda: self._read_twins(number), self.sampling, generator)

    def _read_twins(self, number: int) -> tuple[Tensor, Tensor]:
        """Read the pair of that number, (3, H, W) uint8 each; it is harmless if two threads read the same one."""
        with self._lock:
            if number in self._cached:
                self._cached.move_to_end(number)
                return self._cached[number]
        twins = read_matched(self.files[number])
        with self._lock:
            if number not in self._cached:
                self._cached[number] = twins
                self._cached_bytes += _count_bytes(twins)
            while self._cached_bytes > self.memory_bytes:
                self._cached_bytes -= _count_bytes(self._cached.popitem(last=False)[1])
        return twins


def cut_patch(
    name: str, read_twins: Callable[[], tuple[Tensor, Tensor]], sampling: PatchSampling, generator: torch.Generator
) -> Pair:
    """Cut the same square out of a blurry and a sharp photograph, (3, H, W) uint8, and turn both alike."""
    orientation = int(torch.randint(8, (), generator=generator))
    places = torch.rand(sampling.candidates, 2, generator=generator).tolist()
    blurry, sharp = read_twins()
    side_px = sampling.patch_px
    _, height, width = sharp.shape
    corners = [(int(x * (width - side_px + 1)), int(y * (height - side_px + 1))) for y, x in places]
    left, top = max(corners, key=lambda corner: measure_detail(sharp, corner, side_px))
    blurry, sharp = (
        apply_dihedral(picture[:, top : top + side_px, left : left + side_px].float() / 255, orientation)
        for picture in (blurry, sharp)
    )
    return Pair(blurry=blurry, sharp=sharp, name=name, orientation=orientation)


def _refuse_smaller(pair: PairFiles, patch_px: int) -> None:
    picture = pair.blurry
    is_file = not (picture.variable or picture.member)
    side_px = read_shortest_side_px(picture.path) if is_file else min(read_picture(picture).shape[1:])
    if side_px < patch_px:
        raise UnblurError(
            f"{picture.path} is only {side_px} px wide or high; patches of {patch_px} px need at least as much, so "
            "leave such pairs out or train on smaller patches."
        )


def _count_bytes(twins: tuple[Tensor, Tensor]) -> int:
    return sum(picture.numel() for picture in twins)
