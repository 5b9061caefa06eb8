"""Colours come from the reference, detail from the picture."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d

from unblur.restoration.low_frequencies import HOLES_PX, REACH_PX, extract_low_frequencies, replace_low_frequencies


def detail(seed: int, height: int = 200, width: int = 256) -> torch.Tensor:
    """Return noise around 0 that changes from pixel to pixel."""
    return 0.1 * torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def test_low_frequencies_equal_scipy() -> None:
    picture = detail(0, 40, 90)
    expected = picture[0].numpy().astype(np.float64)
    for holes in HOLES_PX:
        taps = np.zeros(2 * holes + 1)
        taps[[0, holes, -1]] = 0.25, 0.5, 0.25
        for axis in (1, 2):
            expected = convolve1d(expected, taps, axis=axis, mode="nearest")
    np.testing.assert_allclose(extract_low_frequencies(picture)[0].numpy(), expected, atol=1e-6)


def test_low_frequencies_depend_on_no_pixel_beyond_the_reach() -> None:
    point = torch.zeros(1, 1, 101, 101)
    point[..., 50, 50] = 1
    spread = extract_low_frequencies(point)[0, 0]
    assert spread[50 - REACH_PX, 50] > 0
    assert spread[: 50 - REACH_PX].abs().max() == 0
    assert spread.sum() == pytest.approx(1, abs=1e-5)


def test_mean_colours_become_those_of_the_reference() -> None:
    reference = torch.full((1, 3, 200, 256), 0.4)
    reference[:, 0, :, 128:] += 0.3
    picture = 1.2 * reference.flip(1) - 0.1 + detail(1)
    result = replace_low_frequencies(reference, picture)
    for columns in (slice(0, 96), slice(160, 256)):
        means = result[..., columns].mean(dim=(2, 3)), reference[..., columns].mean(dim=(2, 3))
        torch.testing.assert_close(*means, atol=2e-3, rtol=0)
        assert (picture[..., columns].mean(dim=(2, 3)) - means[1]).abs().max() > 0.01


def test_detail_is_preserved() -> None:
    drawn = detail(2)
    result = replace_low_frequencies(torch.full_like(drawn, 0.5), 0.3 + drawn) - 0.5
    # Low frequencies hold 0.2 % of the energy of white noise.
    assert float((result - drawn).square().mean() / drawn.square().mean()) < 0.005
    assert torch.equal(replace_low_frequencies(drawn, drawn), drawn)
