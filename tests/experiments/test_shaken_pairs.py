"""Pairs blurred by camera shake from outside of the simulator, compared with SciPy's convolution."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve

from experiments.shaken_pairs import ShakenSet, draw_shake_kernel, draw_shake_path, simulate_shaken_pairs
from unblur.blur.kernel import compute_path_kernel
from unblur.datasets import PhotoFolder
from unblur.photos.color import linear_to_srgb, srgb_to_linear
from unblur.seeds import make_generator


def test_a_point_that_rests_stays_a_point_and_light_between_pixels_is_shared() -> None:
    assert torch.equal(compute_path_kernel(torch.zeros(3, 2)), torch.ones(1, 1, dtype=torch.float64))
    kernel = compute_path_kernel(torch.tensor([[0.25, -1.0]]))
    assert kernel[0, 1] == pytest.approx(0.75)
    assert kernel[0, 2] == pytest.approx(0.25)


@pytest.mark.parametrize("length_px", ShakenSet().lengths_px)
def test_a_path_is_as_long_as_it_was_asked_to_be_and_its_kernel_is_centred(length_px: float) -> None:
    path = draw_shake_path(length_px, make_generator(1, "path"))
    assert float((path[1:] - path[:-1]).norm(dim=1).sum()) == pytest.approx(length_px, rel=1e-9)
    kernel = draw_shake_kernel(length_px, seed=1)
    assert float(kernel.sum()) == pytest.approx(1)
    places = torch.arange(len(kernel), dtype=torch.float64) - len(kernel) // 2
    assert float((kernel.sum(0) * places).sum()) == pytest.approx(0, abs=1e-9)
    assert float((kernel.sum(1) * places).sum()) == pytest.approx(0, abs=1e-9)
    assert len(kernel) <= length_px + 3


def test_a_pair_is_convolved_in_linear_light_with_what_lies_around_it(photos: Path) -> None:
    settings = ShakenSet(lengths_px=(30.0,), size_px=100, noise=0.0)
    opened = PhotoFolder(photos)
    pairs = list(simulate_shaken_pairs(opened, settings))
    assert [pair.name for pair in pairs] == ["30px_0.png", "30px_1.png"]
    light = srgb_to_linear(opened.photos[0].double() / 255).numpy()
    kernel = draw_shake_kernel(30.0, settings.seed).numpy()
    whole = np.stack([convolve(channel, kernel, mode="nearest") for channel in light])
    expected = linear_to_srgb(torch.from_numpy(whole))[:, 100:200, 100:200]
    assert torch.allclose(pairs[0].blurry.double(), expected, atol=1e-4)
    assert torch.equal(pairs[0].sharp, opened.photos[0][:, 100:200, 100:200].float() / 255)


def test_noise_is_in_the_blurry_picture_alone(photos: Path) -> None:
    clean, noisy = (
        next(simulate_shaken_pairs(PhotoFolder(photos), ShakenSet(lengths_px=(12.0,), size_px=64, noise=noise)))
        for noise in (0.0, 0.01)
    )
    assert torch.equal(clean.sharp, noisy.sharp)
    difference = srgb_to_linear(noisy.blurry) - srgb_to_linear(clean.blurry)
    inside = (clean.blurry > 0.3) & (clean.blurry < 0.9)
    assert float(difference[inside].std()) == pytest.approx(0.01, rel=0.1)
