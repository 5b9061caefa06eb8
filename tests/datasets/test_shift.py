"""Shifts that are known, of sharp and of blurred pictures."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d, gaussian_filter
from torch import Tensor

from unblur.datasets.alignment import measure_shift


@pytest.fixture(scope="module")
def scene() -> Tensor:
    """Detail of all sizes, (3, 160, 200)."""
    noise = np.random.default_rng(0).normal(size=(160, 200))
    mixed = sum(size * gaussian_filter(noise, size) for size in (0.7, 1.5, 3, 6, 12))
    scaled = 255 * (mixed - mixed.min()) / (mixed.max() - mixed.min())
    return torch.from_numpy(scaled).to(torch.uint8).expand(3, -1, -1)


def blurred(scene: Tensor, path: list[float]) -> Tensor:
    """Along the rows; `path` is what each pixel, from left to right, sends where, its middle being the pixel."""
    weights = np.array(path) / sum(path)
    rows = convolve1d(scene.double().numpy(), weights, axis=2, mode="nearest")
    return torch.from_numpy(rows.round()).to(torch.uint8)


def test_a_picture_is_not_shifted_against_itself(scene: Tensor) -> None:
    assert measure_shift(scene, scene).length_px < 0.01


@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, -4), (-7, 11), (25, -20)])
def test_a_moved_picture_is_found_where_it_is(scene: Tensor, right: int, down: int) -> None:
    wide = scene.roll((down, right), (1, 2))
    inside = (slice(None), slice(25, -25), slice(25, -25))
    shift = measure_shift(wide[inside], scene[inside])
    assert shift.right_px == pytest.approx(right, abs=0.3)
    assert shift.down_px == pytest.approx(down, abs=0.3)


@pytest.mark.parametrize(
    ("path", "centre"),
    [
        ([1.0] * 9, 0),
        ([1.0] * 21, 0),
        ([0.0] * 8 + [1.0] * 9, 4),
        ([1.0] * 9 + [0.0] * 8, -4),
        ([0, 1, 2, 3, 2, 1, 0], 0),
    ],
)
def test_the_middle_of_a_blur_is_found_and_not_its_ends(scene: Tensor, path: list[float], centre: float) -> None:
    shift = measure_shift(blurred(scene, path), scene)
    assert shift.right_px == pytest.approx(centre, abs=0.4)
    assert shift.down_px == pytest.approx(0, abs=0.1)


def test_noise_does_not_hide_the_shift(scene: Tensor) -> None:
    noise = torch.randn(scene.shape, generator=torch.Generator().manual_seed(0)) * 8
    noisy = (blurred(scene, [1.0] * 9).float() + noise).clamp(0, 255).to(torch.uint8)
    assert measure_shift(noisy, scene).length_px < 0.3


def test_two_empty_pictures_have_no_shift() -> None:
    grey = torch.full((3, 20, 30), 128, dtype=torch.uint8)
    assert measure_shift(grey, grey).length_px == pytest.approx(0, abs=1e-6)
