"""Grain is removed from added detail, and edges are not."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d

from unblur.restoration.grain import LEVELS, MOST_GRAIN, measure_grain, remove_grain

SPLINE = np.array([1, 4, 6, 4, 1]) / 16


def noise(*shape: int, deviation: float = 0.5 / 255, seed: int = 0) -> torch.Tensor:
    return deviation * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def edges(height: int, width: int) -> torch.Tensor:
    """Bars of half the range, each 64 px wide."""
    return 0.5 * ((torch.arange(width) // 64) % 2).float().expand(1, 1, height, width)


def finest_level(image: np.ndarray) -> np.ndarray:
    """The first band of the transform, by SciPy."""
    smooth = convolve1d(convolve1d(image, SPLINE, axis=0, mode="nearest"), SPLINE, axis=1, mode="nearest")
    return image - smooth


def test_without_grain_nothing_changes() -> None:
    detail = noise(1, 3, 40, 56)
    assert torch.allclose(remove_grain(detail, torch.zeros(LEVELS, 3)), detail, atol=1e-6)


def test_the_measured_noise_is_that_of_the_transform_in_scipy() -> None:
    detail = noise(1, 2, 256, 256, deviation=0.1 / 255)
    grain = measure_grain(detail)
    assert grain.shape == (LEVELS, 2)
    expected = [float(finest_level(channel.numpy()).std()) for channel in detail[0]]
    # The smoothest tenth of the parts has a little less than the mean of all.
    assert grain[0].tolist() == pytest.approx(expected, rel=0.15)
    assert bool((grain[0] > grain[1]).all())
    assert bool((grain[1] > grain[2]).all())


def test_noise_becomes_a_fifth_and_edges_stay() -> None:
    clean, grain = edges(256, 256), noise(1, 1, 256, 256, deviation=0.3 / 255)
    cleaned = remove_grain(clean + grain, measure_grain(clean + grain))
    from_edge = torch.arange(256) % 64
    inside = (from_edge > 8) & (from_edge < 56)
    assert float((cleaned - clean)[..., inside].std()) < 0.2 * float(grain.std())
    assert float((cleaned - clean).std()) < float(grain.std())
    steps = (cleaned[..., 64] - cleaned[..., 63]).abs()
    assert float(steps.mean()) == pytest.approx(0.5, abs=0.005)


def test_texture_everywhere_does_not_count_as_noise() -> None:
    """The measured noise has a bound, so strong texture loses little."""
    texture = noise(1, 3, 128, 128, deviation=0.1)
    grain = measure_grain(texture)
    assert grain.max(dim=1).values.tolist() == pytest.approx(list(MOST_GRAIN))
    assert float((remove_grain(texture, grain) - texture).std()) < 0.1 * float(texture.std())


def test_a_window_has_the_result_of_the_whole_image_inside() -> None:
    detail = noise(1, 3, 96, 96)
    grain = measure_grain(detail)
    whole, part = remove_grain(detail, grain), remove_grain(detail[..., 16:80, 16:80], grain)
    reach = 2 * (2**LEVELS - 1)
    inner = slice(reach, 64 - reach)
    assert torch.allclose(part[..., inner, inner], whole[..., 16:80, 16:80][..., inner, inner], atol=1e-6)


def test_half_precision_around_it_costs_no_digits() -> None:
    detail = noise(1, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        inside = remove_grain(detail, measure_grain(detail))
    assert torch.equal(inside, remove_grain(detail, measure_grain(detail)))
