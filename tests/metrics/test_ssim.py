import numpy as np
import pytest
import torch
from scipy.ndimage import correlate
from skimage.metrics import structural_similarity
from torch import Tensor

from unblur.errors import UnblurError
from unblur.metrics import ssim, ssim_3d


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


def by_dense_windows(restored: Tensor, sharp: Tensor) -> list[float]:
    """MATLAB's `ssim()` on (H, W, 3) as its documentation states it, with one dense window of 11 x 11 x 11."""
    offsets = np.stack(np.meshgrid(*[np.arange(-5, 6)] * 3))
    window = np.exp(-(offsets**2).sum(0) / (2 * 1.5**2))
    window /= window.sum()

    def similarity(a: np.ndarray, b: np.ndarray) -> float:
        mu_a, mu_b, aa, bb, ab = (correlate(m, window, mode="nearest") for m in (a, b, a * a, b * b, a * b))
        map_ = (2 * mu_a * mu_b + 0.01**2) * (2 * (ab - mu_a * mu_b) + 0.03**2)
        map_ /= (mu_a**2 + mu_b**2 + 0.01**2) * (aa - mu_a**2 + bb - mu_b**2 + 0.03**2)
        return float(map_.mean())

    pairs = zip(restored.double().movedim(1, -1).numpy(), sharp.double().movedim(1, -1).numpy(), strict=True)
    return [similarity(a, b) for a, b in pairs]


@pytest.mark.parametrize("noise", [0.01, 0.3])
def test_3d_agrees_with_dense_windows(noise: float) -> None:
    sharp = smooth_scene()
    generator = torch.Generator().manual_seed(1)
    restored = (0.9 * sharp + noise * torch.randn(sharp.shape, generator=generator)).clamp(0, 1)
    np.testing.assert_allclose(ssim_3d(restored, sharp).numpy(), by_dense_windows(restored, sharp), atol=1e-7)


def test_of_three_equal_channels_is_that_of_the_gray_image() -> None:
    restored, sharp = (smooth_scene()[:1, k : k + 1] for k in (0, 1))
    expected = structural_similarity(
        restored[0, 0].double().numpy(),
        sharp[0, 0].double().numpy(),
        data_range=1,
        gaussian_weights=True,
        use_sample_covariance=False,
    )
    assert ssim(restored.expand(1, 3, -1, -1), sharp.expand(1, 3, -1, -1)).item() == pytest.approx(expected, abs=1e-6)


def test_nan_is_refused() -> None:
    with pytest.raises(UnblurError, match="NaN"):
        ssim(torch.full((1, 3, 20, 20), float("nan")), torch.zeros(1, 3, 20, 20))


@pytest.mark.parametrize("metric", [ssim, ssim_3d])
def test_equal_images_are_one(metric) -> None:
    sharp = smooth_scene()
    assert metric(sharp, sharp).tolist() == pytest.approx([1.0] * 3, abs=1e-7)


def test_an_inverted_image_is_dissimilar() -> None:
    sharp = smooth_scene()
    assert (ssim(1 - sharp, sharp) < 0).all()


@pytest.mark.parametrize("metric", [ssim, ssim_3d])
def test_is_symmetric_and_falls_with_noise(metric) -> None:
    sharp = smooth_scene()
    noise = torch.randn(sharp.shape, generator=torch.Generator().manual_seed(3))
    little, much = sharp + 0.02 * noise, sharp + 0.2 * noise
    torch.testing.assert_close(metric(little, sharp), metric(sharp, little))
    assert (metric(much, sharp) < metric(little, sharp)).all()


def test_one_window_is_enough_and_less_is_refused() -> None:
    eleven = smooth_scene(11, 11)
    assert ssim(eleven, eleven).tolist() == pytest.approx([1.0] * 3, abs=1e-7)
    with pytest.raises(UnblurError, match="11 x 11 pixels, not 40 x 10"):
        ssim(torch.zeros(1, 3, 10, 40), torch.zeros(1, 3, 10, 40))
