"""Solvers recover kernels and images from blur and noise that SciPy made."""

import numpy as np
import pytest
import torch

from tests.deconvolution.scenes import blurred, camera_man, likeness, path_kernel, psnr_db
from unblur.deconvolution import (
    PRIOR_WEIGHTS,
    Deconvolution,
    deconvolve,
    deconvolve_wiener,
    estimate_kernel_by_edges,
    make_single_kernel_path,
)
from unblur.deconvolution.clipped_light import replace_clipped_light
from unblur.deconvolution.kernel import make_point_kernel
from unblur.deconvolution.least_squares import NormalEquations, correlate, fit_kernel
from unblur.deconvolution.noise import estimate_noise
from unblur.errors import UnblurError


def inner(sharp: torch.Tensor, side: int) -> torch.Tensor:
    half = side // 2
    return sharp[half : sharp.shape[0] - half, half : sharp.shape[1] - half]


@pytest.mark.parametrize("length", [5.0, 10.0, 16.0])
def test_least_squares_finds_the_kernel_between_two_images(length: float) -> None:
    sharp, kernel = camera_man(), path_kernel(21, 3, length)
    found = fit_kernel(inner(sharp, 21), blurred(sharp, kernel), 21, ridge=1e-4)
    assert likeness(found, kernel) > 0.98
    assert float(found.sum()) == pytest.approx(1, abs=0.05)


def test_no_blur_is_a_point() -> None:
    sharp = camera_man()
    assert likeness(fit_kernel(sharp, sharp, 9, ridge=1e-4), make_point_kernel(9)) > 0.999


def test_an_empty_image_has_no_kernel() -> None:
    grey = torch.full((64, 64), 0.3)
    assert not fit_kernel(grey, grey, 9).any()


def test_the_true_kernel_leaves_nearly_nothing_unexplained() -> None:
    sharp, kernel = camera_man(), path_kernel(21, 3, 12)
    equations = NormalEquations(correlate(inner(sharp, 21), blurred(sharp, kernel), 21))
    assert float(equations.residual(kernel[None])) < 0.02
    assert float(equations.residual(make_point_kernel(21)[None])) > 0.2


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_deconvolution_with_the_true_kernel_brings_the_photograph_back(noise: float) -> None:
    sharp, kernel = camera_man(), path_kernel(21, 5, 12)
    blurry = blurred(sharp, kernel)
    noisy = blurry + noise * torch.randn(blurry.shape)
    restored = deconvolve(noisy[None], make_single_kernel_path(kernel), Deconvolution(noise=noise))[0]
    gain = psnr_db(restored, inner(sharp, 21)) - psnr_db(noisy, inner(sharp, 21))
    assert gain > (8 if noise == 0 else 2)


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_wiener_filters_bring_the_photograph_back_and_the_weakest_is_best_without_noise(noise: float) -> None:
    sharp, kernel = camera_man(), path_kernel(21, 5, 12)
    blurry = blurred(sharp, kernel)
    noisy = blurry + noise * torch.randn(blurry.shape)
    levels = deconvolve_wiener(noisy[None], make_single_kernel_path(kernel))
    assert levels.shape == (len(PRIOR_WEIGHTS), 1, *blurry.shape)
    gains = [psnr_db(level[0], inner(sharp, 21)) - psnr_db(noisy, inner(sharp, 21)) for level in levels]
    assert max(gains) > (8 if noise == 0 else 2)
    assert (gains.index(max(gains)) == 0) == (noise == 0)


def test_a_point_changes_nothing() -> None:
    blurry = camera_man()[None]
    still = make_single_kernel_path(make_point_kernel(9))
    restored = deconvolve(blurry, still, Deconvolution(noise=0.0))
    assert float((restored - blurry).abs().mean()) < 1e-3
    assert float((deconvolve_wiener(blurry, still)[0] - blurry).abs().mean()) < 1e-3


def lamp_and_streak() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a scene with a lamp, its kernel, and the photograph, in which the lamp's streak is clipped."""
    sharp, kernel = camera_man().clone() * 0.5, path_kernel(21, 5, 12)
    sharp[100:104, 100:104] = 60.0
    return inner(sharp, 21), kernel, blurred(sharp, kernel).clamp(max=1)


def test_clipped_lights_ring_less_than_if_they_were_trusted() -> None:
    truth, kernel, clipped = lamp_and_streak()
    path, settings = make_single_kernel_path(kernel), Deconvolution(noise=0.0)

    def measure_error(restored: torch.Tensor) -> float:
        return float((restored.clamp(0, 1) - truth.clamp(max=1))[60:120, 60:120].abs().mean())

    # Against the same light as data: one value below the threshold of clipping.
    trusted = deconvolve(0.9 * clipped[None], path, settings)[0] / 0.9
    assert measure_error(deconvolve(clipped[None], path, settings)[0]) < 0.75 * measure_error(trusted)


def test_the_streak_of_a_clipped_lamp_becomes_a_small_light() -> None:
    truth, kernel, clipped = lamp_and_streak()
    path = make_single_kernel_path(kernel)
    restored = replace_clipped_light(clipped[None], clipped[None], path)[0]

    def count_lit(image: torch.Tensor) -> int:
        return int((image[76:108, 76:108] > 0.9).sum())

    assert count_lit(truth) == 16
    assert count_lit(clipped) > 90
    assert count_lit(restored) < 0.6 * count_lit(clipped)
    light = restored[76:108, 76:108]
    places = torch.arange(32.0)
    middle = [float((light.sum(axis) * places).sum() / light.sum()) for axis in (0, 1)]
    assert middle == pytest.approx([15.5, 15.5], abs=3)


def test_what_no_clipped_light_reaches_is_left_alone() -> None:
    _, kernel, clipped = lamp_and_streak()
    path = make_single_kernel_path(kernel)
    sharp = torch.rand(2, 1, *clipped.shape)
    replaced = replace_clipped_light(sharp, clipped[None], path)
    assert (replaced[..., :40, :] - sharp[..., :40, :]).abs().max() < 1e-3
    assert replace_clipped_light(sharp, 0.9 * clipped[None], path) is sharp
    at_night = replace_clipped_light(sharp, 0.9 * clipped[None], path, level=0.5)
    assert (at_night - sharp)[..., 80:104, 80:104].abs().max() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize(("length", "least"), [(6.0, 0.85), (12.0, 0.85), (18.0, 0.8)])
def test_the_kernel_is_estimated_from_edges(length: float, least: float) -> None:
    sharp, kernel = camera_man(), path_kernel(25, 7, length)
    found = estimate_kernel_by_edges(blurred(sharp, kernel), 25)
    assert likeness(found, kernel) > least


def test_a_turned_photograph_has_the_turned_kernel() -> None:
    sharp, kernel = camera_man(192), path_kernel(21, 7, 10)
    blurry = blurred(sharp, kernel)
    found, turned = estimate_kernel_by_edges(blurry, 21), estimate_kernel_by_edges(blurry.rot90(), 21)
    assert likeness(turned, found.rot90()) > 0.9


def test_noise_is_measured() -> None:
    generator = np.random.default_rng(1)
    flat = torch.from_numpy(0.5 + 0.02 * generator.standard_normal((3, 128, 128))).float()
    assert estimate_noise(flat) == pytest.approx(0.02, rel=0.1)
    with pytest.raises(UnblurError, match="1 x 1"):
        estimate_noise(torch.zeros(1, 1))
