import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from unblur.errors import UnblurError
from unblur.metrics import ssim


def by_scikit_image(restored: Tensor, sharp: Tensor) -> list[float]:
    return [
        structural_similarity(
            a.double().numpy(),
            b.double().numpy(),
            channel_axis=0,
            data_range=1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for a, b in zip(restored, sharp, strict=True)
    ]


def smooth_scene(height: int = 37, width: int = 52) -> Tensor:
    """Three images with edges and gradients, (3, 3, H, W)."""
    y, x = torch.meshgrid(torch.linspace(0, 6, height), torch.linspace(0, 9, width), indexing="ij")
    waves = [torch.sin(x * k + y) * 0.4 + 0.5 for k in (0.5, 1.5, 4.0)]
    return torch.stack([torch.stack(waves), torch.stack(waves[::-1]), (torch.stack(waves) > 0.5).float()])


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.1, 0.5])
def test_agrees_with_scikit_image(noise: float) -> None:
    sharp = smooth_scene()
    generator = torch.Generator().manual_seed(1)
    restored = (0.9 * sharp + noise * torch.randn(sharp.shape, generator=generator)).clamp(0, 1)
    measured = ssim(restored, sharp)
    assert measured.shape == (3,)
    np.testing.assert_allclose(measured.numpy(), by_scikit_image(restored, sharp), atol=1e-6)


def test_agrees_with_scikit_image_in_nearly_flat_bright_regions() -> None:
    # Where float32 would lose the variance's digits.
    generator = torch.Generator().manual_seed(2)
    sharp = 0.99 + 0.0001 * torch.rand(1, 3, 24, 24, generator=generator)
    restored = 0.99 + 0.0001 * torch.rand(1, 3, 24, 24, generator=generator)
    np.testing.assert_allclose(ssim(restored, sharp).numpy(), by_scikit_image(restored, sharp), atol=1e-7)


def test_equal_images_are_one() -> None:
    sharp = smooth_scene()
    assert ssim(sharp, sharp).tolist() == pytest.approx([1.0] * 3, abs=1e-7)


def test_an_inverted_image_is_dissimilar() -> None:
    sharp = smooth_scene()
    assert (ssim(1 - sharp, sharp) < 0).all()


def test_is_symmetric_and_falls_with_noise() -> None:
    sharp = smooth_scene()
    noise = torch.randn(sharp.shape, generator=torch.Generator().manual_seed(3))
    little, much = sharp + 0.02 * noise, sharp + 0.2 * noise
    torch.testing.assert_close(ssim(little, sharp), ssim(sharp, little))
    assert (ssim(much, sharp) < ssim(little, sharp)).all()


def test_one_window_is_enough_and_less_is_refused() -> None:
    eleven = smooth_scene(11, 11)
    assert ssim(eleven, eleven).tolist() == pytest.approx([1.0] * 3, abs=1e-7)
    with pytest.raises(UnblurError, match="11 x 11 pixels, not 40 x 10"):
        ssim(torch.zeros(1, 3, 10, 40), torch.zeros(1, 3, 10, 40))
