"""Patches of real pairs: aligned, turned alike, keyed, and of pairs that are for training."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from unblur.datasets import PairFolder, PairPatches, PairSet
from unblur.datasets.orientation import apply_dihedral
from unblur.datasets.simulated import PatchSampling
from unblur.errors import UnblurError
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo

SAMPLING = PatchSampling(patch_px=16, candidates=2)


def save(folder: Path, name: str, height: int = 40, width: int = 56, seed: int = 0) -> None:
    """The sharp twin is the blurry photograph, negative: whatever is cut alike stays so."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    for side, shown in (("blurry", pixels), ("sharp", 255 - pixels)):
        (folder / side).mkdir(parents=True, exist_ok=True)
        write_photo(Photo(pixels=shown), folder / side / name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(5):
        save(tmp_path / "pairs", f"{number}.png", seed=number)
    return tmp_path / "pairs"


def patches(folder: Path, seed: int = 1, **options: int) -> PairPatches:
    return PairPatches(PairFolder(folder).files, SAMPLING, seed, **options)


def lies_in(patch: Tensor, picture: Tensor) -> bool:
    windows = picture.unfold(1, 16, 1).unfold(2, 16, 1).permute(1, 2, 0, 3, 4)
    corner = (windows[..., 0, 0] == patch[:, 0, 0]).all(dim=2)
    return bool((windows[corner] == patch).flatten(1).all(dim=1).any())


def test_patches_are_the_same_square_of_both_pictures_turned_alike(folder: Path) -> None:
    whole = {pair.name: pair.sharp for pair in PairFolder(folder)}
    source, orientations = patches(folder), set()
    for index in range(10):
        patch = source[index]
        assert patch.blurry.shape == patch.sharp.shape == (3, 16, 16)
        torch.testing.assert_close(patch.sharp, 1 - patch.blurry)
        turns = [lies_in(apply_dihedral(patch.sharp, back), whole[patch.name]) for back in range(8)]
        assert sum(turns) == 1
        assert lies_in(patch.upright, whole[patch.name])
        orientations.add(turns.index(True))
    assert len(orientations) > 3


def test_a_patch_depends_on_its_seed_and_number_only(folder: Path) -> None:
    one, again, other = patches(folder), patches(folder), patches(folder, seed=2)
    forgetful = patches(folder, memory_bytes=0)
    recorded = [one[index] for index in (7, 3, 5)]
    for index, patch in zip((5, 3, 7), recorded[::-1], strict=True):
        assert torch.equal(patch.blurry, again[index].blurry)
        assert torch.equal(patch.blurry, forgetful[index].blurry)
    assert any(not torch.equal(one[index].blurry, other[index].blurry) for index in range(3))


def test_every_pair_is_drawn_equally_often(folder: Path) -> None:
    source = patches(folder)
    names = [source[index].name for index in range(400)]
    counts = [names.count(f"{number}.png") for number in range(5)]
    # Four standard deviations of a binomial count.
    assert all(abs(count - 80) < 4 * (400 * 0.2 * 0.8) ** 0.5 for count in counts)


def test_pairs_beyond_the_memory_are_forgotten(folder: Path) -> None:
    pair_bytes = 2 * 3 * 40 * 56
    source = patches(folder, memory_bytes=2 * pair_bytes)
    for index in range(30):
        source[index]
        assert sum(picture.numel() for twins in source._cached.values() for picture in twins) <= 2 * pair_bytes


def test_nothing_to_cut_from_is_refused(folder: Path) -> None:
    with pytest.raises(UnblurError, match="no pairs"):
        PairPatches([], SAMPLING, 1)
    save(folder, "small.png", height=12, width=90)
    with pytest.raises(UnblurError, match=r"small\.png is only 12 px wide or high; patches of 16 px"):
        patches(folder)
    (folder / "blurry" / "small.png").write_bytes(b"no picture")
    with pytest.raises(UnblurError, match=r"small\.png is a file of an unknown kind"):
        patches(folder)


def test_the_last_pairs_are_held_out(folder: Path) -> None:
    pair_set = PairSet(folder=str(folder), holdout=0.4, share=1.0)
    assert [files.name for files in pair_set.find_training_files()] == ["0.png", "1.png", "2.png"]
    assert [files.name for files in pair_set.find_holdout_files()] == ["3.png", "4.png"]
    everything = PairSet(folder=str(folder), share=1.0)
    assert (len(everything.find_training_files()), everything.find_holdout_files()) == (5, [])


def test_a_single_pair_cannot_be_held_out(tmp_path: Path) -> None:
    save(tmp_path, "one.png")
    with pytest.raises(UnblurError, match="one pair"):
        PairSet(folder=str(tmp_path), holdout=0.2, share=1.0).find_training_files()


def test_pairs_for_measuring_are_not_learnt_from(tmp_path: Path) -> None:
    """GoPro's own tree, whose test pairs stay unseen; and a set that has none for training."""
    for split in ("train", "test"):
        scene = tmp_path / "data" / split / "GOPR0372_07_00"
        for side in ("blur", "sharp"):
            (scene / side).mkdir(parents=True)
            write_photo(Photo(pixels=np.zeros((20, 20, 3), np.uint8)), scene / side / f"{split}.png")
    (files,) = PairSet(folder=str(tmp_path / "data"), share=1.0).find_training_files()
    assert "train" in files.blurry.path.parts
    levin = tmp_path / "Levin09blurdata"
    levin.mkdir()
    (levin / "im05_flit01.mat").write_bytes(b"")
    with pytest.raises(UnblurError, match="is for measuring"):
        PairFolder(levin, for_training=True)
