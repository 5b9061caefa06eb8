"""Laws of the windows: they cover everything, agree with the grid, and their weights add up to one."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unblur.errors import UnblurError
from unblur.restoration.tiles import GRID_PX, check_tile_px, compute_spans

lengths = st.integers(1, 5000)
tiles = st.integers(64, 1000)
overlaps = st.integers(0, 300)
feathers = st.integers(0, 300)


@given(lengths, tiles, overlaps, feathers)
def test_weights_are_a_partition_of_unity(length_px, tile_px, overlap_px, feather_px) -> None:
    total = np.zeros(length_px)
    for span in compute_spans(length_px, tile_px=tile_px, overlap_px=overlap_px, feather_px=feather_px):
        assert span.weights.shape == (span.stop_px - span.start_px,)
        assert span.weights.min() >= -1e-7
        total[span.start_px : span.stop_px] += span.weights
    np.testing.assert_allclose(total, 1, atol=1e-6)


@given(lengths, tiles, overlaps)
def test_windows_lie_on_the_grid_inside_the_photograph_and_overlap(length_px, tile_px, overlap_px) -> None:
    windows = compute_spans(length_px, tile_px=tile_px, overlap_px=overlap_px, feather_px=32)
    assert windows[0].start_px == 0
    assert windows[-1].stop_px == length_px
    for window in windows:
        assert window.start_px % GRID_PX == 0
        assert 0 < window.stop_px - window.start_px <= tile_px
    for window, following in itertools.pairwise(windows):
        assert following.start_px > window.start_px
        # Half a tile at most; the last window may miss what is left over from the grid.
        wanted = min(overlap_px, tile_px // GRID_PX // 2 * GRID_PX)
        assert window.stop_px - following.start_px >= wanted


def test_a_photograph_that_fits_is_one_window() -> None:
    (window,) = compute_spans(333, tile_px=333, overlap_px=64, feather_px=32)
    assert (window.start_px, window.stop_px) == (0, 333)
    assert (window.weights == 1).all()


def test_no_more_windows_than_needed() -> None:
    # 640 + 9 * (640 - 64) = 5824 < 6000 <= 6400
    assert len(compute_spans(6000, tile_px=640, overlap_px=64, feather_px=32)) == 11
    assert len(compute_spans(641, tile_px=640, overlap_px=64, feather_px=32)) == 2


def test_feather_lies_in_the_middle_of_the_overlap() -> None:
    first, second = compute_spans(900, tile_px=512, overlap_px=64, feather_px=32)
    shared = first.stop_px - second.start_px
    context_px = (shared - 32) // 2
    assert (second.weights[:context_px] == 0).all()
    assert (second.weights[context_px + 32 :] == 1).all()
    fading = first.weights[-shared:][context_px : context_px + 32]
    assert (np.diff(fading) < 0).all()


@pytest.mark.parametrize("tile_px", [-1, 1, 63])
def test_tiles_that_are_too_small_are_refused(tile_px: int) -> None:
    with pytest.raises(UnblurError, match="too small"):
        check_tile_px(tile_px)


@pytest.mark.parametrize("tile_px", [0, 64, 100_000])
def test_valid_tiles_are_accepted(tile_px: int) -> None:
    check_tile_px(tile_px)
