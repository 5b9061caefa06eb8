"""Implausible restorations are distinguished from generated detail."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.restoration.guard import is_sane, is_sane_detail


def texture(height: int = 160, width: int = 192, seed: int = 0) -> Tensor:
    """Return grey tones at several scales with a little colour, (1, 3, h, w)."""
    generator = torch.Generator().manual_seed(seed)
    picture = torch.full((1, 3, height, width), 0.5)
    for side in (1, 4, 16):
        coarse = torch.rand(1, 1, height // side + 1, width // side + 1, generator=generator) - 0.5
        coloured = coarse + 0.1 * (torch.rand(1, 3, *coarse.shape[2:], generator=generator) - 0.5)
        picture += 0.4 * F.interpolate(coloured, scale_factor=side)[..., :height, :width]
    return picture


def blur(picture: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(picture, (7, 7, 7, 7), mode="replicate"), 15, stride=1)


def make_mosaic(side_px: int, colours: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    stones = torch.rand(1, colours, 160 // side_px, 192 // side_px, generator=generator)
    return F.interpolate(stones, scale_factor=side_px).expand(-1, 3, -1, -1)


def test_a_sharp_photograph_is_plausible_for_its_blurry_one() -> None:
    sharp = texture()
    assert is_sane_detail(sharp, blur(sharp))
    assert is_sane_detail(sharp, sharp)
    assert is_sane(sharp, blur(sharp))


@pytest.mark.parametrize("size", [(1, 1), (20, 33), (32, 32), (97, 130)])
def test_any_size(size: tuple[int, int]) -> None:
    sharp = texture(*size)
    assert is_sane_detail(sharp, sharp)
    assert not is_sane_detail(sharp + 0.3, sharp)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_one_nan_is_implausible(value: float) -> None:
    sharp = texture()
    broken = sharp.clone()
    broken[0, 1, 100, 3] = value
    assert not is_sane(broken, sharp)
    assert not is_sane_detail(broken, sharp)


@pytest.mark.parametrize("side_px", [1, 2, 4, 8, 16, 32])
def test_mosaics_are_implausible(side_px: int) -> None:
    sharp = texture()
    assert not is_sane_detail(make_mosaic(side_px, 3), blur(sharp))
    # In a corner too.
    corner = sharp.clone()
    corner[..., :128, :128] = make_mosaic(side_px, 3)[..., :128, :128]
    assert is_sane(corner, blur(sharp))
    assert not is_sane_detail(corner, blur(sharp))


def test_another_picture_of_equal_brightness_is_implausible() -> None:
    sharp = torch.full((1, 3, 160, 192), 0.5)
    sharp[..., :96] -= 0.3
    sharp[..., 96:] += 0.3
    assert is_sane(sharp.flip(3), sharp)
    assert not is_sane_detail(sharp.flip(3), sharp)
    assert is_sane_detail(sharp, sharp)
