"""Paths without an arrow: nothing depends on which end is called the start, and nothing else is lost."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unblur.blur.undirected import compute_endpoint_error_px, to_directed, to_undirected

number = st.floats(-100, 100, width=32)


def point(x: float, y: float) -> torch.Tensor:
    return torch.tensor([x, y], dtype=torch.float32).view(2, 1, 1)


@given(number, number, number, number)
def test_there_and_back(a: float, b: float, c: float, d: float) -> None:
    start, end = point(a, b), point(c, d)
    assert float(compute_endpoint_error_px(*to_directed(to_undirected(start, end)), start, end)) < 1e-3


@given(number, number, number, number)
def test_exchanging_the_ends_changes_nothing(a: float, b: float, c: float, d: float) -> None:
    start, end = point(a, b), point(c, d)
    assert torch.equal(to_undirected(start, end), to_undirected(end, start))
    other = point(1, 2), point(3, 5)
    assert torch.equal(compute_endpoint_error_px(start, end, *other), compute_endpoint_error_px(end, start, *other))


def test_near_lines_have_near_descriptions_also_across_the_vertical() -> None:
    leaning_left, leaning_right = ((point(0, 0), point(x, 10)) for x in (-0.01, 0.01))
    assert (to_undirected(*leaning_left) - to_undirected(*leaning_right)).abs().max() < 0.05


def test_the_error_is_the_mean_distance_of_the_ends() -> None:
    error = compute_endpoint_error_px(point(0, 0), point(10, 0), point(10, 3), point(0, 4))
    assert error.item() == pytest.approx(3.5)


def test_no_motion_has_a_description() -> None:
    zeros = torch.zeros(2, 3, 4)
    assert to_undirected(zeros, zeros).abs().max() == 0
    assert all(torch.equal(end, zeros) for end in to_directed(to_undirected(zeros, zeros)))
