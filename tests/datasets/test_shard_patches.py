"""Patches from shards: every pair once in an epoch, by number alone, and turned like its twin."""

import tarfile
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from unblur.datasets import PairFolder
from unblur.datasets.orientation import apply_dihedral
from unblur.datasets.pair_patches import PairPatches
from unblur.datasets.shard_files import find_shards, read_shard_picture
from unblur.datasets.shard_patches import ShardPatches
from unblur.datasets.shards import ShardFolder
from unblur.datasets.simulated import PatchSampling
from unblur.errors import UnblurError

WHOLE = PatchSampling(patch_px=64)
"""Patches as large as the pairs, so that only the orientation differs."""


def test_an_epoch_uses_every_pair_once_and_goes_from_shard_to_shard(shards: Path) -> None:
    patches = ShardPatches(shards, WHOLE, seed=3)
    epochs = [[patches[7 * epoch + place].name for place in range(7)] for epoch in range(6)]
    names = [f"{index:09d}.png" for index in range(7)]
    for epoch in epochs:
        assert sorted(epoch) == names
        changes = sum((int(a[:9]) < 4) != (int(b[:9]) < 4) for a, b in pairwise(epoch))
        assert changes == 1
    assert len({tuple(epoch) for epoch in epochs}) > 3


def test_an_item_depends_on_its_number_alone(shards: Path) -> None:
    forwards, backwards = ShardPatches(shards, WHOLE, seed=3), ShardPatches(shards, WHOLE, seed=3)
    found = [forwards[index] for index in range(20)]
    for index in reversed(range(20)):
        again = backwards[index]
        assert again.name == found[index].name
        assert torch.equal(again.blurry, found[index].blurry)
    other = ShardPatches(shards, WHOLE, seed=4)
    assert [other[index].name for index in range(20)] != [one.name for one in found]


def test_both_sides_are_those_of_the_shard_in_one_orientation(shards: Path) -> None:
    stored = {pair.index: pair for pair in ShardFolder(shards)}
    patches = ShardPatches(shards, WHOLE, seed=0)
    for index in range(14):
        patch = patches[index]
        pair = stored[int(patch.name[:9])]
        assert any(
            torch.equal(apply_dihedral(pair.blurry, orientation), patch.blurry)
            and torch.equal(apply_dihedral(pair.sharp, orientation), patch.sharp)
            for orientation in range(8)
        )


def test_left_out_pairs_are_never_shown(shards: Path) -> None:
    patches = ShardPatches(shards, WHOLE, seed=0, holdout=0.4)
    assert {patches[index].name for index in range(40)} == {f"{index:09d}.png" for index in range(4)}


def test_shards_are_a_data_set(shards: Path) -> None:
    folder = PairFolder(shards)
    assert folder.data_set.name == "simulated"
    for pair, stored in zip(folder, ShardFolder(shards), strict=True):
        assert pair.name == f"{stored.index:09d}.png"
        assert torch.equal(pair.blurry, stored.blurry)
        assert torch.equal(pair.sharp, stored.sharp)
    assert PairPatches(folder.files, PatchSampling(patch_px=32), seed=0)[0].sharp.shape == (3, 32, 32)


def test_damaged_and_unfitting_shards_are_refused(shards: Path) -> None:
    with pytest.raises(UnblurError, match=r"only 64 px wide or high; patches of 65 px"):
        ShardPatches(shards, PatchSampling(patch_px=65), seed=0)
    path = shards / "pairs-000001.tar"
    with tarfile.open(path) as tar:
        member = tar.getmember("000000005.sharp.png")
    offset, middle = member.offset_data, member.offset_data + member.size // 2
    whole = path.read_bytes()
    path.write_bytes(whole[:middle] + bytes(byte ^ 255 for byte in whole[middle : middle + 4]) + whole[middle + 4 :])
    with pytest.raises(UnblurError, match=r"pairs-000001\.tar is cut short or damaged"):
        read_shard_picture(path, "000000005.sharp.png")
    path.write_bytes(whole[:offset])
    with pytest.raises(UnblurError, match=r"pairs-000001\.tar is cut short or damaged"):
        [ShardPatches(shards, WHOLE, seed=0)[index] for index in range(7)]
    path.unlink()
    with pytest.raises(UnblurError, match=r"lacks 1 of 2 shards"):
        find_shards(shards)
