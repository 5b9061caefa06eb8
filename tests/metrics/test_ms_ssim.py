import numpy as np
import pytest
import torch
from scipy.ndimage import correlate
from skimage.metrics import structural_similarity
from torch import Tensor

from unblur.errors import UnblurError
from unblur.metrics import ms_ssim

EXPONENTS = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]


def test_agrees_with_pytorch_msssim(blurry: Tensor, sharp: Tensor) -> None:
    # pytorch-msssim 1.0.0, ms_ssim(restored, sharp, data_range=1) in float64; its window is float32, hence 8e-7.
    crop = (slice(None), slice(None), slice(100, 276), slice(200, 440))
    assert ms_ssim(blurry[crop], sharp[crop]).item() == pytest.approx(0.8625197866071765, abs=2e-6)


def contrast_structure(a: np.ndarray, b: np.ndarray) -> float:
    """Out of scikit-image: SSIM of the images less their luminance term, which it does not give by itself."""
    _, full = structural_similarity(a, b, data_range=1, gaussian_weights=True, use_sample_covariance=False, full=True)
    offsets = np.arange(-5, 6)
    line = np.exp(-(offsets**2) / 4.5)
    window = np.outer(line, line) / line.sum() ** 2
    mu_a, mu_b = correlate(a, window), correlate(b, window)
    luminance = (2 * mu_a * mu_b + 0.01**2) / (mu_a**2 + mu_b**2 + 0.01**2)
    return float((full / luminance)[5:-5, 5:-5].mean())


def of_one_channel(a: np.ndarray, b: np.ndarray) -> float:
    """Wang's msssim.m: 2 x 2 means at every pixel with mirrored edges, then every other one."""
    value = 1.0
    for exponent in EXPONENTS[:-1]:
        value *= contrast_structure(a, b) ** exponent
        a, b = (correlate(x, np.full((2, 2), 0.25), mode="reflect", origin=-1)[::2, ::2] for x in (a, b))
    last = structural_similarity(a, b, data_range=1, gaussian_weights=True, use_sample_covariance=False)
    return float(value * last ** EXPONENTS[-1])


def test_agrees_with_the_authors_convention_at_odd_sizes(blurry: Tensor, sharp: Tensor) -> None:
    restored, truth = blurry[..., 100:281, 200:403], sharp[..., 100:281, 200:403]
    expected = np.mean([of_one_channel(a, b) for a, b in zip(restored[0].numpy(), truth[0].numpy(), strict=True)])
    assert ms_ssim(restored, truth).item() == pytest.approx(expected, abs=1e-9)


def test_is_one_for_equal_images_symmetric_and_falls_with_noise(sharp: Tensor) -> None:
    truth = sharp[..., :180, :180]
    noise = torch.randn(truth.shape, dtype=truth.dtype, generator=torch.Generator().manual_seed(0))
    values = [ms_ssim(truth + sigma * noise, truth).item() for sigma in (0, 0.02, 0.1, 0.5)]
    assert values[0] == pytest.approx(1, abs=1e-12)
    assert values == sorted(values, reverse=True)
    assert values[2] == pytest.approx(ms_ssim(truth, truth + 0.1 * noise).item(), abs=1e-12)


def test_an_inverted_image_is_zero_not_nan(sharp: Tensor) -> None:
    truth = sharp[..., :180, :180]
    assert ms_ssim(1 - truth, truth).tolist() == [0]


def test_too_small_is_refused() -> None:
    with pytest.raises(UnblurError, match="176 x 176 pixels, not 300 x 175"):
        ms_ssim(torch.zeros(1, 3, 175, 300), torch.zeros(1, 3, 175, 300))
