import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from unblur.deconvolution.kernel import (
    centre_kernel,
    clean_kernel,
    compute_centroid,
    label_connected_parts,
    make_point_kernel,
    measure_direction_deg,
    measure_extent_px,
    resize_kernel,
)


def line(side: int, length: int, down: bool = False) -> torch.Tensor:
    kernel = torch.zeros(side, side)
    half = length // 2
    kernel[side // 2, side // 2 - half : side // 2 + half + 1] = 1 / (2 * half + 1)
    return kernel.T.contiguous() if down else kernel


def test_connected_parts_are_scipys() -> None:
    mask = torch.rand(40, 50) < 0.4
    ours = label_connected_parts(mask).numpy()
    theirs, count = ndimage.label(mask.numpy(), structure=np.ones((3, 3)))
    assert len(np.unique(ours)) - 1 == count
    for part in range(1, count + 1):
        assert len(np.unique(ours[theirs == part])) == 1
    assert (ours[theirs == 0] == 0).all()


def test_parts_of_a_full_and_of_an_empty_mask() -> None:
    assert label_connected_parts(torch.ones(5, 5).bool()).unique().tolist() == [1]
    assert label_connected_parts(torch.zeros(5, 5).bool()).unique().tolist() == [0]


def test_the_centroid_is_scipys() -> None:
    kernel = torch.rand(9, 9)
    row, column = ndimage.center_of_mass(kernel.numpy())
    assert compute_centroid(kernel) == pytest.approx((column - 4, row - 4), abs=1e-5)


def test_a_displaced_kernel_is_centred_again() -> None:
    kernel = line(21, 9)
    assert torch.equal(centre_kernel(kernel.roll((3, -2), (0, 1))), kernel)


def test_crumbs_and_small_values_are_removed() -> None:
    kernel = line(21, 9)
    dirty = kernel.clone()
    dirty[1, 1] = 0.05 * float(kernel.sum())
    dirty[10, 16] = 0.001 * float(kernel.max())
    assert torch.allclose(clean_kernel(dirty, 0.03), kernel)


def test_a_kernel_without_light_stays_finite() -> None:
    assert clean_kernel(torch.zeros(5, 5), 0.03).isfinite().all()


@pytest.mark.parametrize(
    ("kernel", "length", "direction"), [(line(21, 9), 8, 0.0), (line(21, 13, down=True), 12, 90.0)]
)
def test_length_and_direction_of_lines(kernel: torch.Tensor, length: float, direction: float) -> None:
    assert measure_extent_px(kernel) == pytest.approx(length)
    assert measure_direction_deg(kernel) == pytest.approx(direction)


def test_a_line_to_the_upper_right_has_45_degrees() -> None:
    kernel = torch.eye(15).flip(0) / 15
    assert measure_direction_deg(kernel) == pytest.approx(45)
    assert measure_extent_px(kernel) == pytest.approx(14 * math.sqrt(2))


def test_a_point_has_no_length() -> None:
    assert measure_extent_px(make_point_kernel(9)) == 0


def test_twice_the_size_is_twice_the_length() -> None:
    twice = resize_kernel(line(21, 9), 43)
    assert float(twice.sum()) == pytest.approx(1)
    assert measure_extent_px(twice) == pytest.approx(2 * measure_extent_px(line(21, 9)), abs=2.5)
