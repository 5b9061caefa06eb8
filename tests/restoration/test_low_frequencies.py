"""Colours come from the reference, detail from the picture."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d

from unblur.restoration.low_frequencies import HOLES_PX, REACH_PX, low_frequencies, with_low_frequencies_of


def detail(seed: int, height: int = 200, width: int = 256) -> torch.Tensor:
    """Noise around 0 that changes from pixel to pixel."""
    return 0.1 * torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def test_low_frequencies_are_those_of_scipy() -> None:
    picture = detail(0, 40, 90)
    expected = picture[0].numpy().astype(np.float64)
    for holes in HOLES_PX:
        taps = np.zeros(2 * holes + 1)
        taps[[0, holes, -1]] = 0.25, 0.5, 0.25
        for axis in (1, 2):
            expected = convolve1d(expected, taps, axis=axis, mode="nearest")
    np.testing.assert_allclose(low_frequencies(picture)[0].numpy(), expected, atol=1e-6)


def test_they_look_no_further_than_said() -> None:
    point = torch.zeros(1, 1, 101, 101)
    point[..., 50, 50] = 1
    spread = low_frequencies(point)[0, 0]
    assert spread[50 - REACH_PX, 50] > 0
    assert spread[: 50 - REACH_PX].abs().max() == 0
    assert spread.sum() == pytest.approx(1, abs=1e-5)


def test_colours_of_areas_become_the_references() -> None:
    reference = torch.full((1, 3, 200, 256), 0.4)
    reference[:, 0, :, 128:] += 0.3
    picture = 1.2 * reference.flip(1) - 0.1 + detail(1)
    result = with_low_frequencies_of(reference, picture)
    for columns in (slice(0, 96), slice(160, 256)):
        means = result[..., columns].mean(dim=(2, 3)), reference[..., columns].mean(dim=(2, 3))
        torch.testing.assert_close(*means, atol=2e-3, rtol=0)
        assert (picture[..., columns].mean(dim=(2, 3)) - means[1]).abs().max() > 0.01


def test_detail_stays() -> None:
    drawn = detail(2)
    result = with_low_frequencies_of(torch.full_like(drawn, 0.5), 0.3 + drawn) - 0.5
    # All but the little of white noise that is low: 0.2 % of its energy.
    assert float((result - drawn).square().mean() / drawn.square().mean()) < 0.005
    assert torch.equal(with_low_frequencies_of(drawn, drawn), drawn)
