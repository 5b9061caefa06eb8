"""MeTriX MuX's multi-scale SSIM against its steps written with SciPy."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate, correlate1d
from torch import Tensor

from unblur.errors import UnblurError
from unblur.metrics import ms_ssim, mssim

EXPONENTS = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]

CDF97 = [0.852698679008890, 0.377402855612830, -0.110624404418440, -0.023849465019560, 0.037828455507260]
"""The analysis low-pass filter of the 9/7 wavelet from the middle outwards, as wavelet toolboxes print it."""


def grey(picture: Tensor) -> np.ndarray:
    return np.tensordot([0.299, 0.587, 0.114], picture[0].double().numpy() * 255, axes=1)


def terms(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    offsets = np.arange(-5, 6)
    line = np.exp(-(offsets**2) / 4.5)
    window = np.outer(line, line) / line.sum() ** 2

    def mean(values: np.ndarray) -> np.ndarray:
        return correlate(values, window)[5:-5, 5:-5]

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mu_a, mu_b = mean(a), mean(b)
    var_a, var_b, both = mean(a * a) - mu_a**2, mean(b * b) - mu_b**2, mean(a * b) - mu_a * mu_b
    dev_a, dev_b = np.sqrt(np.maximum(var_a, 0)), np.sqrt(np.maximum(var_b, 0))
    luminance = (2 * mu_a * mu_b + c1) / (mu_a**2 + mu_b**2 + c1)
    contrast = (2 * dev_a * dev_b + c2) / (var_a + var_b + c2)
    structure = (both + c2 / 2) / (dev_a * dev_b + c2 / 2)
    return float(luminance.mean()), float(contrast.mean()), float(structure.mean())


def by_scipy(a: np.ndarray, b: np.ndarray) -> float:
    """mssim_index.m, levels of grey from 0 to 255."""
    weights = np.array([*CDF97[:0:-1], *CDF97])
    weights /= weights.sum()
    value = 1.0
    for scale, exponent in enumerate(EXPONENTS):
        luminance, contrast, structure = terms(a, b)
        value *= abs(contrast) ** exponent * abs(structure) ** exponent
        if scale == 4:
            value *= luminance**0.1333
        a, b = (
            correlate1d(correlate1d(x, weights, axis=0, mode="reflect"), weights, axis=1, mode="reflect")[::2, ::2]
            for x in (a, b)
        )
    return value


@pytest.mark.parametrize(("height", "width"), [(181, 203), (176, 240)])
def test_agrees_with_the_packages_steps(blurry: Tensor, sharp: Tensor, height: int, width: int) -> None:
    crop = (..., slice(100, 100 + height), slice(200, 200 + width))
    expected = by_scipy(grey(blurry[crop]), grey(sharp[crop]))
    assert mssim(blurry[crop], sharp[crop]).item() == pytest.approx(expected, abs=1e-9)
    # It is another measure than that of the paper.
    assert abs(ms_ssim(blurry[crop], sharp[crop]).item() - expected) > 1e-3


def test_is_one_for_equal_images_and_falls_with_noise(sharp: Tensor) -> None:
    truth = sharp[..., :180, :180]
    noise = torch.randn(truth.shape, dtype=truth.dtype, generator=torch.Generator().manual_seed(0))
    values = [mssim(truth + sigma * noise, truth).item() for sigma in (0, 0.02, 0.1, 0.5)]
    assert values[0] == pytest.approx(1, abs=1e-9)
    assert values == sorted(values, reverse=True)


def test_too_small_is_refused() -> None:
    with pytest.raises(UnblurError, match="MSSIM needs images of at least 176 x 176 pixels, not 300 x 175"):
        mssim(torch.zeros(1, 3, 175, 300), torch.zeros(1, 3, 175, 300))
