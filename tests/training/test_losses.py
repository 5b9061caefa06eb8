import math

import numpy as np
import pytest
import scipy.fft
import scipy.ndimage
import torch
from skimage.metrics import peak_signal_noise_ratio

from unblur.blur.undirected import to_undirected
from unblur.training.losses import (
    absolute_loss,
    charbonnier_loss,
    compute_laplacian,
    edge_loss,
    frequency_loss,
    path_loss,
    psnr_loss,
    reblur_loss,
)


def pictures(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Two, (2, 3, H, W) float64."""
    random = np.random.default_rng(0)
    sharp = random.uniform(size=(2, 3, height, width))
    return sharp + 0.1 * random.normal(size=sharp.shape), sharp


def laplacian_by_scipy(picture: np.ndarray) -> np.ndarray:
    """Compute the Laplacian of (H, W) with the kernel of Burt and Adelson, a = 0.4."""

    def blurred(values: np.ndarray) -> np.ndarray:
        for axis in (0, 1):
            values = scipy.ndimage.correlate1d(values, [0.05, 0.25, 0.4, 0.25, 0.05], axis, mode="nearest")
        return values

    spread = np.zeros_like(picture)
    spread[::2, ::2] = blurred(picture)[::2, ::2] * 4
    return picture - blurred(spread)


@pytest.mark.parametrize(("height", "width"), [(16, 24), (15, 9)])
def test_pixel_losses_by_formula(height: int, width: int) -> None:
    restored, sharp = pictures(height, width)
    ours = [torch.from_numpy(picture).float() for picture in (restored, sharp)]
    error = restored - sharp
    edges = np.array([[laplacian_by_scipy(channel) for channel in picture] for picture in error])
    spectrum = scipy.fft.fft2(error)
    expected = {
        absolute_loss: np.abs(error).mean(),
        lambda one, other: charbonnier_loss(one, other, 0.05): np.sqrt(error**2 + 0.05**2).mean(),
        lambda one, other: edge_loss(one, other, 0.01): np.sqrt(edges**2 + 0.01**2).mean(),
        frequency_loss: (np.abs(spectrum.real).mean() + np.abs(spectrum.imag).mean()) / 2,
    }
    for loss, value in expected.items():
        assert float(loss(*ours)) == pytest.approx(value, rel=1e-4)


def test_a_laplacian_is_zero_for_constant_images_only() -> None:
    flat = torch.full((1, 3, 16, 16), 0.7)
    assert float(compute_laplacian(flat)[..., 4:-4, 4:-4].abs().max()) < 1e-5
    dotted = flat.clone()
    dotted[..., 8, 8] = 0
    assert float(compute_laplacian(dotted)[..., 8, 8].max()) < -0.3


def test_no_error_costs_what_it_should() -> None:
    sharp = torch.rand(1, 3, 16, 16)
    assert float(absolute_loss(sharp, sharp)) == float(frequency_loss(sharp, sharp)) == 0
    assert float(charbonnier_loss(sharp, sharp, 1e-3)) == pytest.approx(1e-3)
    assert float(edge_loss(sharp, sharp, 1e-3)) == pytest.approx(1e-3)


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


def test_path_loss_is_the_distance_of_the_ends_where_only_the_length_is_wrong() -> None:
    end = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
    truth = to_undirected(-end, end)
    answer = to_undirected(-2 * end, 2 * end)
    # Ten pixels long; the ends are five pixels off.
    assert math.isclose(float(path_loss(answer, truth)), 5 / math.sqrt(10 + 4), rel_tol=1e-3)


def test_path_loss_is_symmetric_in_the_ends_and_has_a_gradient_at_the_truth() -> None:
    start, end = torch.randn(2, 3, 2, 4, 4)
    assert torch.equal(
        path_loss(to_undirected(start, end), to_undirected(end, start)),
        path_loss(to_undirected(start, end), to_undirected(start, end)),
    )
    answer = to_undirected(start, end).requires_grad_()
    path_loss(answer, to_undirected(start, end)).backward()
    assert answer.grad is not None
    assert answer.grad.isfinite().all()


def test_blurring_again_counts_in_squares_that_are_known_alone() -> None:
    """Errors that cancel in the mean of a square do not count."""
    again, blurry = torch.zeros(2, 3, 8, 12), torch.zeros(2, 3, 8, 12)
    known = torch.zeros(2, 1, 8, 12, dtype=torch.bool)
    known[0, :, :, :10] = True
    again[0, 0, 1, 0], again[0, 1, 5, 5], again[0, 1, 5, 6], again[0, :, :, 8:], again[1] = 0.6, 0.5, -0.5, 1.0, 1.0
    # Of six squares four are known whole, and of these one is off, in one of three channels.
    assert float(reblur_loss(again, known, blurry)) == pytest.approx(0.6 / 16 / 3 / 4)
    assert float(reblur_loss(again, torch.zeros_like(known), blurry)) == 0
