import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor

from unblur.errors import UnblurError
from unblur.metrics import ms_ssim, psnr, quantize_8bit, ssim, ssim_3d


def noisy_pair(noise: float = 0.1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    sharp = torch.rand(3, 3, 20, 31, generator=generator)
    noise_levels = noise * torch.tensor([1.0, 0.3, 0.01]).view(3, 1, 1, 1)
    return (sharp + noise_levels * torch.randn(sharp.shape, generator=generator)).clamp(0, 1), sharp


def test_agrees_with_scikit_image_for_each_image() -> None:
    restored, sharp = noisy_pair()
    expected = [
        peak_signal_noise_ratio(b.double().numpy(), a.double().numpy(), data_range=1)
        for a, b in zip(restored, sharp, strict=True)
    ]
    measured = psnr(restored, sharp)
    assert measured.shape == (3,)
    np.testing.assert_allclose(measured.numpy(), expected, rtol=1e-6)


def test_an_error_of_a_tenth_is_twenty_decibels() -> None:
    sharp = torch.full((1, 3, 4, 4), 0.5)
    assert psnr(sharp + 0.1, sharp).item() == pytest.approx(20, abs=1e-4)


def test_equal_images_are_infinite() -> None:
    _, sharp = noisy_pair()
    assert psnr(sharp, sharp).tolist() == [math.inf] * 3


def test_is_symmetric() -> None:
    restored, sharp = noisy_pair()
    assert torch.equal(psnr(restored, sharp), psnr(sharp, restored))


def test_the_mean_runs_over_images_not_over_their_errors() -> None:
    restored, sharp = noisy_pair()
    one_by_one = [psnr(a[None], b[None]).item() for a, b in zip(restored, sharp, strict=True)]
    assert psnr(restored, sharp).tolist() == pytest.approx(one_by_one)


def test_quantize_equals_an_eight_bit_file() -> None:
    image = torch.tensor([-0.5, 0.0, 0.49 / 255, 0.51 / 255, 127.4 / 255, 254.6 / 255, 1.0, 7.0])
    expected = torch.tensor([0, 0, 0, 1, 127, 255, 255, 255]) / 255
    assert torch.equal(quantize_8bit(image), expected)
    assert torch.equal(quantize_8bit(expected), expected)


@pytest.mark.parametrize("metric", [psnr, ssim, ssim_3d, ms_ssim])
@pytest.mark.parametrize(
    ("restored", "sharp", "named"),
    [
        (torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 17), r"\(1, 3, 16, 17\)"),
        (torch.zeros(1, 3, 16, 16), torch.zeros(2, 3, 16, 16), r"\(2, 3, 16, 16\)"),
        (torch.zeros(3, 16, 16), torch.zeros(3, 16, 16), "batch axis"),
        (torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16), r"\(1, 1, 16, 16\)"),
        (torch.zeros(0, 3, 16, 16), torch.zeros(0, 3, 16, 16), r"\(0, 3, 16, 16\)"),
        (torch.zeros(1, 3, 16, 16).byte(), torch.zeros(1, 3, 16, 16).byte(), "uint8"),
    ],
)
def test_what_cannot_be_compared_is_refused(metric, restored: Tensor, sharp: Tensor, named: str) -> None:
    with pytest.raises(UnblurError, match=named):
        metric(restored, sharp)
