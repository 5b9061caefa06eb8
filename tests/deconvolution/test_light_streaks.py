"""Kernels read from the streaks of lamps, and photographs that have no such streaks."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from tests.deconvolution.scenes import blurred, camera_man, likeness, path_kernel
from unblur.deconvolution.kernel import measure_bend
from unblur.deconvolution.light_streaks import estimate_kernel_by_streaks


def draw_night(lamps: int) -> torch.Tensor:
    """Return a dark scene with so many lamps, (H, W) linear light, before the camera shakes."""
    rng = np.random.default_rng(3)
    scene = 0.02 * camera_man().numpy()
    places = [(y, x) for y in range(24, 232, 34) for x in range(24, 232, 34)]
    for place in rng.permutation(places)[:lamps]:
        spot = np.zeros_like(scene)
        spot[tuple(place + rng.integers(-4, 5, 2))] = 1
        scene = scene + 300 * ndimage.gaussian_filter(spot, 1)
    return torch.from_numpy(scene.astype(np.float32))


def photograph(scene: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Return the photograph of a shaken camera, (3, H, W) linear light, clipped and with noise."""
    light = blurred(scene, kernel)
    noise = 1e-3 * torch.randn(3, *light.shape, generator=torch.Generator().manual_seed(0))
    return (light * torch.tensor([1.0, 0.8, 0.3])[:, None, None] + noise).clamp(0, 1)


@pytest.fixture(scope="module")
def bent() -> torch.Tensor:
    kernel = path_kernel(21, 5, 16.0)
    assert measure_bend(kernel) > 0.2
    return kernel


def test_lamps_draw_the_kernel_although_they_are_clipped(bent: torch.Tensor) -> None:
    shaken = photograph(draw_night(20), bent)
    assert float((shaken >= 1).float().mean()) > 0.005
    found = estimate_kernel_by_streaks(shaken)
    assert found is not None
    assert float(found.sum()) == pytest.approx(1, abs=1e-4)
    assert likeness(found, bent) > 0.7


def test_a_turned_photograph_has_the_turned_kernel(bent: torch.Tensor) -> None:
    shaken = photograph(draw_night(20), bent)
    found, turned = estimate_kernel_by_streaks(shaken), estimate_kernel_by_streaks(shaken.rot90(1, (1, 2)))
    assert found is not None
    assert turned is not None
    assert likeness(turned, found.rot90()) > 0.98


@pytest.mark.parametrize("case", ["few lamps", "no lamps", "by day", "sharp", "straight", "different shapes"])
def test_other_photographs_have_no_streaks(case: str, bent: torch.Tensor) -> None:
    straight = torch.zeros(21, 21)
    straight[10, 3:18] = 1 / 15
    point = torch.zeros(21, 21)
    point[10, 10] = 1
    shaken = {
        "few lamps": lambda: photograph(draw_night(5), bent),
        "no lamps": lambda: photograph(draw_night(0), bent),
        "by day": lambda: photograph(draw_night(20) + camera_man(), bent),
        "sharp": lambda: photograph(draw_night(20), point),
        "straight": lambda: photograph(draw_night(20), straight),
        # Letters: as bright and thin, but each of another shape.
        "different shapes": lambda: torch.stack([draw_letters()] * 3),
    }[case]()
    assert estimate_kernel_by_streaks(shaken) is None


def draw_letters() -> torch.Tensor:
    """Return thin bright shapes on black, each the path of another camera, (H, W)."""
    scene = torch.zeros(256, 256)
    for number in range(36):
        row, column = 8 + 40 * (number // 6), 8 + 40 * (number % 6)
        letter = path_kernel(21, 20 + number, 16)
        scene[row : row + 21, column : column + 21] = (letter > 0.1 * letter.max()).float()
    return scene
