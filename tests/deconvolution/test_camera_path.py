import json
import math

import pytest
import torch
from scipy import ndimage

from tests.deconvolution.scenes import camera_man, likeness, path_kernel
from unblur.deconvolution import CameraPath, Deconvolution, deconvolve, make_single_kernel_path
from unblur.deconvolution.camera_path import add_rolls, centre_path, fit_path
from unblur.deconvolution.kernel import make_point_kernel
from unblur.deconvolution.least_squares import correlate, join


def rolling(angle_rad: float, side: int = 31, rolls: int = 9) -> CameraPath:
    """Turning at constant speed about (128, 128), without translation."""
    angles = tuple((index / (rolls - 1) - 0.5) * angle_rad for index in range(rolls))
    weights = make_point_kernel(side).expand(rolls, -1, -1) / rolls
    return CameraPath(weights=weights, roll_rad=angles, centre_px=(128.0, 128.0))


def turned_scene(sharp: torch.Tensor, angle_rad: float, steps: int = 61) -> torch.Tensor:
    """Average a scene that SciPy turns about the middle, clockwise for positive angles."""
    total = torch.zeros_like(sharp)
    for step in range(steps):
        angle = (step / (steps - 1) - 0.5) * angle_rad
        image = ndimage.rotate(sharp.numpy(), -math.degrees(angle), reshape=False, order=1, mode="nearest")
        total += torch.from_numpy(image) / steps
    return total


def test_the_same_kernel_everywhere_without_roll() -> None:
    kernel = path_kernel(21, 1, 10)
    path = make_single_kernel_path(kernel, (50.0, 40.0))
    assert torch.allclose(path.compute_kernels_at(torch.tensor([[0.0, 0.0], [300.0, 20.0]])), kernel.expand(2, -1, -1))
    assert path.compute_variation_px(1000, 1000) == 0


def test_a_point_is_concentrated_and_a_line_is_not() -> None:
    assert make_single_kernel_path(make_point_kernel(9), (10, 10)).concentration == pytest.approx(1)
    line = torch.zeros(21, 21)
    line[10, :20] = 1 / 20
    assert make_single_kernel_path(line, (10, 10)).concentration == pytest.approx(5 / 20)


def test_roll_leaves_the_centre_and_draws_arcs_elsewhere() -> None:
    path = rolling(0.1)
    assert likeness(path.compute_kernel_at(128.0, 128.0), make_point_kernel(31)) > 0.999
    right = path.compute_kernel_at(228.0, 128.0)
    # 100 px to the right of the centre, a turn of 0.1 moves by 10 px, up and down.
    rows = torch.arange(31.0) - 15
    assert float((right.sum(1) * rows**2).sum().sqrt()) == pytest.approx(10 / math.sqrt(12), rel=0.25)
    assert float(right.sum(0).max()) > 0.9


def test_a_scaled_path_moves_as_many_times_as_far() -> None:
    path = make_single_kernel_path(path_kernel(31, 2, 10), (100.0, 80.0))
    assert path.scale(2.0).length_px == pytest.approx(2 * path.length_px, abs=4)
    assert path.scale(2.0).centre_px == (200.0, 160.0)


def test_json_holds_every_pose_that_matters() -> None:
    path = rolling(0.1)
    found = json.loads(json.dumps(path.describe()))
    assert sum(pose["share"] for pose in found["poses"]) == pytest.approx(1, abs=1e-3)
    assert {round(pose["roll_rad"], 4) for pose in found["poses"]} == {round(angle, 4) for angle in path.roll_rad}


def test_a_picture_shows_the_kernels_of_the_frame() -> None:
    picture = rolling(0.1).draw(256, 256, rows=3, columns=4)
    assert picture.shape == (3 * 33, 4 * 33)
    assert 0 <= float(picture.min()) <= float(picture.max()) <= 1


def test_a_rotation_is_estimated_from_windows() -> None:
    sharp = camera_man()
    blurry = turned_scene(sharp, 0.08)
    windows, places = [], []
    for top in (0, 64, 128):
        for left in (0, 64, 128):
            part = slice(top, top + 128), slice(left, left + 128)
            windows.append(correlate(sharp[part], blurry[part], 31))
            places.append([left + 63.5, top + 63.5])
    angles = tuple((index - 4) * 0.014 for index in range(9))
    start = add_rolls(make_single_kernel_path(make_point_kernel(31), (127.5, 127.5)), angles)
    found = centre_path(fit_path(join(windows), torch.tensor(places), start, ridge=1e-3, iterations=300))
    # Uniform over 0.08 rad, its deviation is 0.08 / sqrt(12).
    shares = found.weights.sum(dim=(1, 2))
    deviation = float((shares * torch.tensor(angles) ** 2).sum().sqrt())
    assert deviation == pytest.approx(0.08 / math.sqrt(12), rel=0.35)


def test_deconvolution_follows_the_roll() -> None:
    sharp = camera_man()
    blurry = turned_scene(sharp, 0.03)
    inside = slice(24, -24), slice(24, -24)
    path = rolling(0.03, rolls=17)
    restored = deconvolve(blurry[None], path, Deconvolution(noise=0.001))[0]
    uniform = make_single_kernel_path(path.compute_kernel_at(200.0, 128.0))
    wrong = deconvolve(blurry[None], uniform, Deconvolution(noise=0.001))[0]
    errors = [float((image - sharp)[inside].square().mean()) for image in (blurry, restored, wrong)]
    assert errors[1] < 0.6 * errors[0]
    assert errors[1] < 0.5 * errors[2]
