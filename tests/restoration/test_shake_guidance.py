"""The motion map of a solved shake equals the map of the same motion as the motion estimator is trained on it."""

import math

import pytest
import torch
from torch import Tensor

from unblur.blur.undirected import to_undirected
from unblur.deconvolution.camera_path import CameraPath, make_single_kernel_path
from unblur.models.motion_estimator import OUTPUT_STRIDE_PX
from unblur.models.motion_guidance import compute_motion_map
from unblur.restoration.shake_guidance import fit_kernel_lines, make_shake_guidance


def line_kernel(length_px: float, angle: float, side: int = 41) -> Tensor:
    """Draw a straight kernel by spreading 400 points over their four nearest pixels."""
    kernel = torch.zeros(side, side)
    for share in torch.linspace(-0.5, 0.5, 400).tolist():
        x, y = side // 2 + share * length_px * math.cos(angle), side // 2 + share * length_px * math.sin(angle)
        column, row = math.floor(x), math.floor(y)
        for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
            kernel[row + dy, column + dx] += (1 - abs(x - column - dx)) * (1 - abs(y - row - dy))
    return kernel / kernel.sum()


@pytest.mark.parametrize("length_px", [6.0, 14.0, 30.0])
@pytest.mark.parametrize("degrees", [0, 30, 90, 135])
def test_a_straight_path_has_the_map_of_its_true_ends(length_px: float, degrees: int) -> None:
    angle = math.radians(degrees)
    end = length_px / 2 * torch.tensor([math.cos(angle), math.sin(angle)])
    grid = end.view(2, 1, 1).expand(2, 96 // OUTPUT_STRIDE_PX, 64 // OUTPUT_STRIDE_PX)
    expected = compute_motion_map(to_undirected(-grid, grid)[None])
    found = make_shake_guidance(make_single_kernel_path(line_kernel(length_px, angle)), 0, 0, 64, 96)
    assert found.shape == expected.shape == (1, 6, 3, 2)
    assert torch.allclose(found, expected, atol=0.03)


def test_a_point_has_no_motion_and_counts_as_known() -> None:
    point = torch.zeros(9, 9)
    point[4, 4] = 1
    found = make_shake_guidance(make_single_kernel_path(point), 0, 0, 64, 64)
    assert not found[:, :5].any()
    assert (found[:, 5] == 1).all()


def test_a_turned_kernel_has_the_opposite_doubled_vector() -> None:
    kernel = torch.rand(2, 15, 15, generator=torch.Generator().manual_seed(1))
    kernel = kernel / kernel.sum(dim=(1, 2), keepdim=True)
    assert torch.allclose(fit_kernel_lines(kernel.rot90(1, (1, 2)))[:, 2:], -fit_kernel_lines(kernel)[:, 2:], atol=1e-4)


def test_roll_moves_the_sides_of_a_window_in_opposite_directions_along_the_same_line() -> None:
    weights = torch.zeros(3, 9, 9)
    weights[:, 4, 4] = 1 / 3
    path = CameraPath(weights=weights, roll_rad=(-0.02, 0.0, 0.02), centre_px=(128.0, 128.0))
    lengths = make_shake_guidance(path, 0, 0, 256, 256)[0, 4]
    assert torch.allclose(lengths, lengths.flip(0), atol=1e-3)
    assert lengths[0, 0] > 2 * lengths[3, 3]
    left = make_shake_guidance(path, 0, 96, 64, 64)
    right = make_shake_guidance(path, 192, 96, 64, 64)
    assert torch.allclose(left, right, atol=1e-3)
