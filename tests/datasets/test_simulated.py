"""Patches made on the fly: keyed, aligned, and shaped as training needs them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from unblur.blur import Camera
from unblur.config import from_json, to_json
from unblur.datasets import PairRecord, PhotoFolder, SimulatedPairs
from unblur.datasets.simulated import PatchSampling
from unblur.errors import UnblurError
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo

SAMPLING = PatchSampling(patch_px=32)
CLEAN = Camera(still_share=0, noise_share=0, jpeg_share=0, highlight_share=0)


def textured(height: int, width: int, seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 255, (height // 10 + 1, width // 10 + 1, 3), dtype=np.uint8)
    return coarse.repeat(10, 0).repeat(10, 1)[:height, :width].copy()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for number, size in enumerate([(60, 100), (90, 50), (40, 40)]):
        write_photo(Photo(pixels=textured(*size, seed=number)), tmp_path / "photos" / f"{number}.png")
    return tmp_path / "photos"


def test_a_patch_depends_on_its_seed_and_number_only(folder: Path) -> None:
    patches = SimulatedPairs(PhotoFolder(folder), Camera(), SAMPLING, seed=1)
    first = [patches[i] for i in (5, 3)]
    again = [SimulatedPairs(PhotoFolder(folder), Camera(), SAMPLING, seed=1)[i] for i in (5, 3)]
    other = SimulatedPairs(PhotoFolder(folder), Camera(), SAMPLING, seed=2)[5]
    for one, same in zip(first, again, strict=True):
        assert one.record == same.record
        assert torch.equal(one.blurry, same.blurry)
        assert torch.equal(one.sharp, same.sharp)
    assert not torch.equal(first[0].sharp, other.sharp)


def test_a_record_read_back_from_json_gives_the_pair_again(folder: Path) -> None:
    pairs = SimulatedPairs(PhotoFolder(folder), Camera(), SAMPLING, seed=1)
    for index in range(20):
        pair = pairs[index]
        again = pairs.expose(from_json(to_json(pair.record), PairRecord))
        assert torch.equal(pair.blurry, again.blurry)
        assert torch.equal(pair.sharp, again.sharp)
        assert torch.equal(pair.motion.offsets, again.motion.offsets)


def test_a_record_of_other_photographs_is_refused(folder: Path) -> None:
    pairs = SimulatedPairs(PhotoFolder(folder), Camera(), SAMPLING, seed=1)
    with pytest.raises(UnblurError, match=r"has no gone\.png"):
        pairs.expose(replace(pairs.draw(0), photo="gone.png"))


def test_patches_have_their_shape_and_range(folder: Path) -> None:
    patches = SimulatedPairs(PhotoFolder(folder), Camera(extent_px=(1, 60)), SAMPLING, seed=1)
    for index in range(60):
        pair = patches[index]
        assert pair.saturated.shape == (1, 32, 32)
        assert pair.motion.start.shape == (2, 2, 2)
        for patch in (pair.blurry, pair.sharp):
            assert patch.shape == (3, 32, 32)
            assert 0 <= patch.min() <= patch.max() <= 1


def test_pristine_patches_are_their_own_target(folder: Path) -> None:
    sampling = replace(SAMPLING, pristine_share=1.0)
    patches = SimulatedPairs(PhotoFolder(folder), Camera(), sampling, seed=1)
    assert all(torch.equal(patches[index].blurry, patches[index].sharp) for index in range(10))


@pytest.mark.slow
def test_blurry_and_sharp_stay_aligned(folder: Path) -> None:
    """Whatever the crop, scale and turn, no shift of the blurry patch fits better than none, on average."""
    camera = replace(CLEAN, extent_px=(2, 4))
    patches = SimulatedPairs(PhotoFolder(folder), camera, replace(SAMPLING, pristine_share=0), seed=1)
    errors = torch.zeros(5)
    for index in range(60):
        blurry, sharp = patches[index].blurry, patches[index].sharp
        for shift in range(-2, 3):
            moved = blurry.roll(shift, dims=2)[:, 4:-4, 4:-4]
            errors[shift + 2] += (moved - sharp[:, 4:-4, 4:-4]).square().mean()
    assert errors.argmin() == 2


def test_patches_without_motion_and_noise_are_sharp(folder: Path) -> None:
    camera = replace(CLEAN, still_share=1, object_share=0, mosaic_share=0)
    patches = SimulatedPairs(PhotoFolder(folder), camera, replace(SAMPLING, pristine_share=0), seed=1)
    for index in range(10):
        torch.testing.assert_close(patches[index].blurry, patches[index].sharp, atol=1e-5, rtol=0)


def test_a_photograph_smaller_than_a_patch_is_refused(folder: Path) -> None:
    with pytest.raises(UnblurError, match="40 px"):
        SimulatedPairs(PhotoFolder(folder), Camera(), PatchSampling(patch_px=64), seed=1)
