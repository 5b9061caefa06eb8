"""Reports on blur made with SciPy and NumPy: kinds, directions and lengths that are known."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage import data

import unblur
from unblur.config import from_json
from unblur.photos.color import linear_to_srgb
from unblur.restoration.blur_overlay import draw_overlay
from unblur.restoration.blur_report import BlurReport
from unblur.restoration.inspect import BlurInspector, reduce_pixels
from unblur.restoration.shake import Shake


@pytest.fixture(scope="module")
def inspector() -> BlurInspector:
    return BlurInspector()


def scene() -> np.ndarray:
    """A photograph in linear light, (240, 320)."""
    image = ndimage.zoom(data.camera().astype(np.float64) / 255, 0.75, order=3).clip(0, 1)
    return image[30:270, 50:370] ** 2.2


def straight_kernel(length_px: float, degrees: float) -> np.ndarray:
    kernel = np.zeros((41, 41))
    for step in np.linspace(-0.5, 0.5, 400) * length_px:
        column, row = 20 + step * math.cos(math.radians(degrees)), 20 - step * math.sin(math.radians(degrees))
        left, top = math.floor(column), math.floor(row)
        for y in (0, 1):
            for x in (0, 1):
                kernel[top + y, left + x] += (1 - abs(column - left - x)) * (1 - abs(row - top - y))
    return kernel / kernel.sum()


def pixels_of(light: np.ndarray) -> np.ndarray:
    """(H, W) linear light -> (H, W, 3) uint8."""
    values = linear_to_srgb(torch.from_numpy(light.clip(0, 1).astype(np.float32))).numpy()
    return np.repeat(np.rint(values * 255).astype(np.uint8)[..., None], 3, axis=2)


def shaken(length_px: float, degrees: float) -> np.ndarray:
    return pixels_of(ndimage.convolve(scene(), straight_kernel(length_px, degrees), mode="reflect"))


@pytest.fixture(scope="module")
def report_on_shake(inspector: BlurInspector) -> BlurReport:
    return inspector.inspect(shaken(15, 30))


def angle_between(first: float | None, second: float) -> float:
    assert first is not None
    apart = abs(first - second) % 180
    return min(apart, 180 - apart)


def test_a_straight_kernel_gives_its_direction_and_length(report_on_shake: BlurReport) -> None:
    assert report_on_shake.kind == "shaken"
    assert angle_between(report_on_shake.direction_deg, 30) < 15
    assert 9 < report_on_shake.length_px < 24
    assert report_on_shake.share > 0.7
    assert str(report_on_shake).startswith(f"shaken: about {report_on_shake.length_px:.0f} px at ")


def test_turning_the_photograph_turns_the_direction(inspector: BlurInspector, report_on_shake: BlurReport) -> None:
    turned = inspector.inspect(np.rot90(shaken(15, 30)).copy())
    assert turned.kind == "shaken"
    assert angle_between(turned.direction_deg, (report_on_shake.direction_deg or 0) + 90) < 10
    assert (turned.width, turned.height) == (report_on_shake.height, report_on_shake.width)


def test_a_sharp_photograph_is_sharp(inspector: BlurInspector) -> None:
    report = inspector.inspect(pixels_of(scene()))
    assert report.kind == "sharp"
    assert (report.length_px, report.direction_deg, report.share) == (0, None, 0)
    assert str(report).endswith("sharp")


def test_gaussian_defocus_is_no_motion(inspector: BlurInspector) -> None:
    report = inspector.inspect(pixels_of(ndimage.gaussian_filter(scene(), 2.5)))
    assert report.kind == "out of focus"
    assert report.direction_deg is None
    assert report.length_px > 3


def test_a_moved_rectangle_is_a_moved_subject(inspector: BlurInspector) -> None:
    light, moved = scene(), ndimage.convolve(scene(), straight_kernel(24, 0), mode="reflect")
    light[50:210, 90:230] = moved[50:210, 90:230]
    report = inspector.inspect(pixels_of(light))
    assert report.kind == "moved subject"
    assert angle_between(report.direction_deg, 0) < 15
    assert 0 < report.share < 0.75


def test_noise_is_measured(inspector: BlurInspector) -> None:
    clean = pixels_of(scene()).astype(np.float64)
    noise = 12 * np.random.default_rng(0).standard_normal(clean.shape[:2])[..., None]
    report = inspector.inspect(np.rint((clean + noise).clip(0, 255)).astype(np.uint8))
    assert report.noisy
    assert report.noise_level == pytest.approx(12, rel=0.3)
    assert f"noisy ({report.noise_level:.0f} grey levels)" in str(report)


def test_a_report_is_json(report_on_shake: BlurReport) -> None:
    assert from_json(report_on_shake.to_json(), BlurReport) == report_on_shake


def test_the_map_covers_the_photograph_once(report_on_shake: BlurReport) -> None:
    covered = np.zeros((240, 320), int)
    for place in report_on_shake.places:
        covered[place.top_px :, place.left_px :][: place.height_px, : place.width_px] += 1
    assert (covered == 1).all()


def test_the_solved_path_is_used(report_on_shake: BlurReport) -> None:
    from unblur.deconvolution.camera_path import make_single_kernel_path

    kernel = torch.from_numpy(straight_kernel(21, 60).astype(np.float32))
    path = make_single_kernel_path(kernel)
    shake = Shake(path=path, confidence=0.9, residual=0.1, noise=0.0, region_px=(0, 0, 320, 240))
    report = report_on_shake.with_shake(shake)
    assert report.solved
    assert angle_between(report.direction_deg, 60) < 2
    assert report.length_px == pytest.approx(21, abs=2)


def test_the_overlay_marks_blurred_places(report_on_shake: BlurReport) -> None:
    photo = unblur.Photo(pixels=shaken(15, 30))
    marked = draw_overlay(photo, report_on_shake)
    assert marked.pixels.shape == (240, 320, 3)
    place = next(place for place in report_on_shake.places if place.kind == "motion")
    inside = slice(place.top_px, place.top_px + place.height_px), slice(place.left_px, place.left_px + place.width_px)
    red, _, blue = marked.pixels[inside].reshape(-1, 3).mean(axis=0)
    assert red > blue + 20


def test_large_photographs_are_reduced_without_a_copy_in_floating_point() -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (10, 13, 3)).astype(np.uint16)
    small = reduce_pixels(pixels, 3)
    assert small.shape == (3, 3, 4)
    assert float(small[1, 2, 3]) == pytest.approx(pixels[6:9, 9:12, 1].mean() / 65535, abs=1e-5)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (np.zeros((63, 200, 3), np.uint8), "200 x 63 pixels cannot be inspected; use at least 64"),
        (torch.zeros(2, 3, 80, 80), "2 pictures cannot be inspected at once"),
        (None, "NoneType is not a picture"),
        ("nowhere.jpg", r"nowhere\.jpg cannot be read"),
    ],
)
def test_what_cannot_be_inspected_is_refused(inspector: BlurInspector, wrong: object, reason: str) -> None:
    with pytest.raises(unblur.UnblurError, match=reason):
        inspector.inspect(wrong)


def test_a_picture_without_texture_has_a_report(inspector: BlurInspector) -> None:
    report = inspector.inspect(np.full((80, 100, 1), 90, np.uint8))
    assert 0 <= report.confidence <= 1
    assert not report.noisy
