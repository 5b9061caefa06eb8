"""Polyblur and Richardson-Lucy on a photograph whose blur is known: what they see, win and leave alone."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import convolve, gaussian_filter
from skimage import restoration
from torch import Tensor

from experiments.baselines import polyblur, richardson_lucy
from experiments.baselines.line_blur import LineBlur, estimate_line_blur, make_line_kernel
from experiments.baselines.polyblur import estimate_gaussian
from experiments.baselines.richardson_lucy import deconvolve
from unblur.datasets.pair_files import read_rgb
from unblur.evaluation.peers.planes import to_pixels, to_planes
from unblur.photos.color import linear_to_srgb, srgb_to_linear

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "reds_sharp.png"

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def sharp() -> Pixels:
    """(256, 320, 3) of a real photograph."""
    return read_rgb(EXAMPLE)[:, 96:352, 160:480].permute(1, 2, 0).contiguous().numpy()


def out_of_focus(sharp: Pixels, down_px: float, right_px: float) -> Pixels:
    """Blurred by a Gaussian in sRGB."""
    return gaussian_filter(sharp.astype(float), (down_px, right_px, 0), mode="mirror").round().astype(np.uint8)


def moved(sharp: Pixels, blur: LineBlur) -> Pixels:
    """Blurred by even motion in linear light."""
    light = srgb_to_linear(to_planes(sharp).double())[0].numpy()
    blurred = [convolve(channel, make_line_kernel(blur).numpy(), mode="mirror") for channel in light]
    return to_pixels(linear_to_srgb(torch.from_numpy(np.stack(blurred)))[None])


def psnr_db(picture: Pixels, sharp: Pixels) -> float:
    return float(10 * np.log10(255**2 / np.mean((picture.astype(float) - sharp) ** 2)))


@pytest.mark.parametrize(("down_px", "right_px"), [(1.0, 1.0), (1.5, 1.5), (2.0, 1.0), (1.0, 2.0)])
def test_the_gaussian_is_estimated(sharp: Pixels, down_px: float, right_px: float) -> None:
    along, across, direction = estimate_gaussian(to_planes(out_of_focus(sharp, down_px, right_px)))
    assert along == pytest.approx(max(down_px, right_px), rel=0.3)
    assert across == pytest.approx(min(down_px, right_px), rel=0.3)
    if down_px != right_px:
        assert math.degrees(direction) == pytest.approx(90 if down_px > right_px else 0, abs=15)


@pytest.mark.parametrize(("deviation_px", "least_db"), [(0.7, 6.0), (1.0, 4.0), (1.5, 2.0)])
def test_polyblur_gains_on_mild_blur(sharp: Pixels, deviation_px: float, least_db: float) -> None:
    blurry = out_of_focus(sharp, deviation_px, deviation_px)
    assert psnr_db(polyblur.restore(blurry), sharp) > psnr_db(blurry, sharp) + least_db


@pytest.mark.parametrize("flat", [False, True])
def test_polyblur_leaves_sharp_and_flat_pictures_alone(sharp: Pixels, flat: bool) -> None:
    picture = np.full((20, 30, 3), 90, np.uint8) if flat else sharp
    assert np.abs(polyblur.restore(picture).astype(int) - picture).max() <= 1


def test_the_polynomial_is_that_of_repeated_blur(sharp: Pixels) -> None:
    # Its terms are the picture blurred one, two and three times; scipy blurs in pixels, ours in frequencies.
    picture = to_planes(sharp).double()
    once = [gaussian_filter(picture[0].numpy(), (0, 1.5, 1.5), mode="wrap")]
    for _ in range(2):
        once.append(gaussian_filter(once[-1], (0, 1.5, 1.5), mode="wrap"))
    expected = picture[0].numpy() + 5 * once[0] - 9 * once[1] + 4 * once[2]
    assert (polyblur.ALPHA, polyblur.BETA) == (6, 1)
    assert np.abs(polyblur._apply_polynomial(picture, 1.5, 1.5, 0.3)[0].numpy() - expected).max() < 2e-3


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (5, 3)])
def test_both_take_the_smallest_pictures(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    for restore in (polyblur.restore, richardson_lucy.restore):
        assert restore(picture).shape == picture.shape
        assert restore(picture).dtype == np.uint8


MOTIONS = [LineBlur(length_px=length, angle_deg=angle) for length, angle in ((6, 20), (10, 60), (15, 100), (22, 150))]


@pytest.mark.parametrize("blur", MOTIONS, ids=str)
def test_the_motion_is_estimated_and_removed(sharp: Pixels, blur: LineBlur) -> None:
    blurry = moved(sharp, blur)
    estimated = estimate_line_blur(srgb_to_linear(to_planes(blurry))[0])
    assert estimated.length_px == pytest.approx(blur.length_px, abs=1.5)
    assert estimated.angle_deg == pytest.approx(blur.angle_deg, abs=9)
    assert psnr_db(richardson_lucy.restore(blurry), sharp) > psnr_db(blurry, sharp) + 2


def test_richardson_lucy_leaves_alone_what_did_not_move(sharp: Pixels) -> None:
    assert np.array_equal(richardson_lucy.restore(sharp), sharp)
    flat = np.full((64, 64, 3), 128, np.uint8)
    assert np.array_equal(richardson_lucy.restore(flat), flat)


@pytest.mark.parametrize("blur", MOTIONS[:2], ids=str)
def test_richardson_lucy_is_that_of_scikit_image(sharp: Pixels, blur: LineBlur) -> None:
    light = srgb_to_linear(to_planes(moved(sharp, blur)).double())[0]
    kernel = make_line_kernel(blur)
    ours = deconvolve(light, kernel, rounds=10)
    for channel, own in zip(light.numpy(), ours.numpy(), strict=True):
        theirs = restoration.richardson_lucy(channel, kernel.numpy(), num_iter=10, clip=False)
        assert np.abs(own - theirs).max() < 1e-9


@pytest.mark.parametrize("blur", [*MOTIONS, LineBlur(length_px=9, angle_deg=0), LineBlur(length_px=9, angle_deg=90)])
def test_a_line_is_as_long_as_it_is_said_to_be(blur: LineBlur) -> None:
    kernel = make_line_kernel(blur)
    assert float(kernel.sum()) == pytest.approx(1)
    assert torch.allclose(kernel, kernel.flip(0, 1), atol=1e-3)
    places = torch.arange(kernel.shape[0], dtype=torch.float64) - kernel.shape[0] // 2
    x, y = (kernel.sum(0) * places.square()).sum(), (kernel.sum(1) * places.square()).sum()
    # The variance of an even line of length L after two linear interpolations, each of a variance up to 1/4.
    assert float(x + y) == pytest.approx(blur.length_px**2 / 12, abs=0.5)
    assert float(mixed(kernel, places)) == pytest.approx(
        blur.length_px**2 / 24 * math.sin(2 * math.radians(blur.angle_deg)), abs=0.2
    )


def mixed(kernel: Tensor, places: Tensor) -> Tensor:
    return (kernel * torch.outer(places, places)).sum()
