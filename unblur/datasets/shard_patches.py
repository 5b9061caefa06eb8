"""Training patches from the shards of `unblur simulate`."""

from bisect import bisect_right
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import torch

from unblur.datasets.pair import Pair
from unblur.datasets.pair_files import make_shard_pair, read_matched
from unblur.datasets.pair_patches import cut_patch
from unblur.datasets.shard_files import find_shards
from unblur.datasets.simulated import PatchSampling
from unblur.datasets.sources import count_holdout
from unblur.errors import UnblurError
from unblur.seeds import make_generator


class ShardPatches:
    """An endless list of patches; item i depends on the shards, the sampling, the seed and i only.

    Each epoch uses every pair once, in a random order of the shards and of the pairs in each shard, so that
    neighbouring items lie in one file, and a resumed run continues exactly where it stopped. No list of all pairs is in
    memory. Of `sampling` the size of the patches and the number of candidates count.
    """

    def __init__(self, folder: Path, sampling: PatchSampling, seed: int, holdout: float = 0.0) -> None:
        """Leave out the share `holdout` of the pairs, the last ones. Raises UnblurError for too few or small pairs."""
        found = find_shards(folder)
        self.files = replace(found, pairs=found.pairs - count_holdout(folder, found.pairs, holdout))
        self.sampling, self.seed = sampling, seed
        side_px = min(read_matched(make_shard_pair(self.files, 0))[0].shape[1:])
        if side_px < sampling.patch_px:
            raise UnblurError(
                f"Pairs in {folder} are only {side_px} px wide or high; patches of {sampling.patch_px} px need at "
                "least as much, so make larger pairs or train on smaller patches."
            )
        self._order_shards = lru_cache(maxsize=4)(self._draw_order)

    def __getitem__(self, index: int) -> Pair:
        epoch, place = divmod(index, self.files.pairs)
        files = make_shard_pair(self.files, self._find_pair(epoch, place))
        generator = make_generator(self.seed, "shard patch", index)
        return cut_patch(files.name, lambda: read_matched(files), self.sampling, generator)

    def _find_pair(self, epoch: int, place: int) -> int:
        """Return the number of the pair at a place of an epoch."""
        order, ends = self._order_shards(epoch)
        turn = bisect_right(ends, place)
        indices = self.files.compute_indices(order[turn])
        shuffled = _draw_permutation(len(indices), self.seed, epoch, order[turn])
        return indices[shuffled[place - (ends[turn - 1] if turn else 0)]]

    def _draw_order(self, epoch: int) -> tuple[tuple[int, ...], list[int]]:
        """Return the shards in their order in an epoch, and the place at which each ends."""
        order = _draw_permutation(self.files.count, self.seed, epoch, -1)
        sizes = (len(self.files.compute_indices(shard)) for shard in order)
        return order, list(accumulate(sizes))


@lru_cache(maxsize=16)
def _draw_permutation(count: int, seed: int, epoch: int, shard: int) -> tuple[int, ...]:
    return tuple(torch.randperm(count, generator=make_generator(seed, "shard order", epoch, shard)).tolist())
