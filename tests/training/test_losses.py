import math

import torch
from skimage.metrics import peak_signal_noise_ratio

from unblur.training.losses import psnr_loss


def test_is_minus_the_mean_psnr_of_the_images() -> None:
    sharp = torch.rand(3, 3, 16, 16)
    restored = sharp + 0.05 * torch.randn(3, 3, 16, 16)
    reference = [
        peak_signal_noise_ratio(s.numpy(), r.numpy(), data_range=1.0) for s, r in zip(sharp, restored, strict=True)
    ]
    assert math.isclose(float(psnr_loss(restored, sharp, 0.0)), -sum(reference) / 3, rel_tol=1e-4)


def test_the_floor_bounds_what_perfection_is_worth() -> None:
    sharp = torch.rand(1, 3, 8, 8)
    assert math.isclose(float(psnr_loss(sharp, sharp, 1e-5)), -50.0, rel_tol=1e-5)
