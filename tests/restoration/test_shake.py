"""The shake of a photograph estimated with the bundled networks, against blur made with SciPy."""

import json

import numpy as np
import pytest
import torch

import unblur
from tests.deconvolution.scenes import blurred, camera_man, likeness, path_kernel
from unblur.datasets.orientation import apply_dihedral, undo_dihedral
from unblur.photos.color import linear_to_srgb
from unblur.restoration.shake import Shake, choose_kernel_side, find_best_textured_region


def photograph(
    length_px: float, seed: int = 7, noise: float = 0.002, size_px: int = 256
) -> tuple[np.ndarray, torch.Tensor]:
    """Return a photograph of known shake, (H, W, 3) uint8, and the kernel."""
    kernel = path_kernel(31, seed, length_px)
    light = blurred(camera_man(size_px), kernel)
    light = (light + noise * torch.randn(light.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    pixels = (linear_to_srgb(light) * 255).round().byte().numpy()
    return np.repeat(pixels[..., None], 3, axis=2), kernel


@pytest.fixture(scope="module")
def shaken() -> tuple[Shake, torch.Tensor]:
    pixels, kernel = photograph(14)
    return unblur.estimate_shake(pixels), kernel


@pytest.mark.slow
def test_a_kernel_applied_by_scipy_is_estimated(shaken: tuple[Shake, torch.Tensor]) -> None:
    shake, kernel = shaken
    assert likeness(shake.path.central_kernel, kernel) > 0.8
    assert shake.confidence > 0.4
    assert str(shake) == f"shake: {shake.length_px:.0f} px, {shake.direction_deg:.0f} degrees"


@pytest.mark.slow
def test_the_estimate_is_deterministic(shaken: tuple[Shake, torch.Tensor]) -> None:
    again = unblur.estimate_shake(photograph(14)[0])
    assert torch.equal(again.path.weights, shaken[0].path.weights)


def test_a_shake_is_saved_as_json_and_as_a_picture(shaken: tuple[Shake, torch.Tensor]) -> None:
    shake, _ = shaken
    facts = json.loads(shake.to_json())
    assert facts["confidence"] == pytest.approx(shake.confidence, abs=1e-4)
    assert sum(pose["share"] for pose in facts["poses"]) == pytest.approx(1, abs=0.01)
    picture = shake.picture(rows=2, columns=3)
    assert picture.pixels.dtype == np.uint8
    assert picture.width * 2 == picture.height * 3


@pytest.mark.slow
def test_a_sharp_photograph_has_no_long_shake() -> None:
    pixels = (linear_to_srgb(camera_man()) * 255).round().byte().numpy()
    assert unblur.estimate_shake(pixels).length_px < 6


@pytest.mark.slow
def test_clipped_lights_hardly_change_the_estimate() -> None:
    kernel = path_kernel(31, 7, 14)
    scene = camera_man()
    for row, column in ((60, 60), (180, 90), (120, 200)):
        scene[row : row + 3, column : column + 3] = 40.0
    light = blurred(scene, kernel).clamp(0, 1)
    assert float((light >= 1).float().mean()) > 0.003
    pixels = (linear_to_srgb(light) * 255).round().byte().numpy()
    assert likeness(unblur.estimate_shake(pixels).path.central_kernel, kernel) > 0.75


def test_a_flat_picture_has_no_shake() -> None:
    shake = unblur.estimate_shake(np.full((100, 120, 3), 128, np.uint8))
    assert shake.length_px == 0
    assert shake.confidence == 0


def test_pictures_that_are_too_small_or_too_many_are_refused() -> None:
    with pytest.raises(unblur.UnblurError, match="at least 64"):
        unblur.estimate_shake(np.zeros((63, 200, 3), np.uint8))
    with pytest.raises(unblur.UnblurError, match="one at a time"):
        unblur.estimate_shake(torch.zeros(2, 3, 64, 64))
    with pytest.raises(unblur.UnblurError, match="not a picture"):
        unblur.estimate_shake(3)


def test_undo_dihedral_inverts_every_orientation() -> None:
    features = torch.rand(2, 9, 9)
    for orientation in range(8):
        assert torch.equal(undo_dihedral(apply_dihedral(features, orientation), orientation), features)


def test_the_best_textured_region_has_most_detail() -> None:
    image = torch.full((3, 200, 300), 0.5)
    image[:, 100:160, 200:280] += 0.2 * torch.rand(3, 60, 80)
    left, top, width, height = find_best_textured_region(image, 96)
    assert (width, height) == (96, 96)
    assert 184 <= left <= 204
    assert 64 <= top <= 104


def test_kernel_sides_are_odd_and_hold_the_kernel() -> None:
    kernel = path_kernel(65, 3, 20)
    assert choose_kernel_side(kernel) % 2 == 1
    assert 20 < choose_kernel_side(kernel) < 65
