"""Overlapping windows that cover a photograph, and weights that blend them without a seam. Pure geometry.

Windows start on a grid of GRID_PX, so that the strides of a network fall on the same pixels in a tile as in
the whole photograph; the last window ends where the photograph ends. Along each axis the weight of a window
is the difference of two rising steps, one in the overlap with its predecessor and one in the overlap with
its successor, so that all weights at a pixel add up to one by construction.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError

GRID_PX = 32
"""Divisor of all starts of windows, and of their sizes except at the end of the photograph."""

SMALLEST_TILE_PX = 64
"""Smallest size of a tile; smaller ones would be nearly all overlap."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """One window along one axis."""

    start_px: int
    stop_px: int
    weights: NDArray[np.float32]
    """(stop_px - start_px,), in [0, 1]; over all spans they add up to one at every pixel."""


def check_tile_px(tile_px: int) -> None:
    """Raise UnblurError unless `tile_px` is 0 (the whole photograph) or at least SMALLEST_TILE_PX."""
    if tile_px != 0 and tile_px < SMALLEST_TILE_PX:
        raise UnblurError(
            f"A tile of {tile_px} px is too small; use at least {SMALLEST_TILE_PX}, 0 for the whole "
            'photograph, or "auto".'
        )


def compute_spans(length_px: int, *, tile_px: int, overlap_px: int, feather_px: int) -> tuple[Span, ...]:
    """Cover `length_px` pixels by windows of at most `tile_px` that share at least `overlap_px`.

    The overlap is rounded up to the grid and limited to half a tile. Only its middle `feather_px`, at most half of it,
    are blended: the pixels outside come from the window with the larger context around them.
    """
    if length_px <= tile_px:
        return (Span(start_px=0, stop_px=length_px, weights=np.ones(length_px, np.float32)),)
    longest = max(1, tile_px // GRID_PX)
    total = math.ceil(length_px / GRID_PX)
    overlap = min(math.ceil(overlap_px / GRID_PX), longest // 2)
    count = math.ceil((total - overlap) / (longest - overlap))
    # Windows as equal and as small as this count allows, so that they overlap no more than necessary.
    size = math.ceil((total + (count - 1) * overlap) / count)
    starts = [index * (total - size) // (count - 1) * GRID_PX for index in range(count)]
    stops = [min(start + size * GRID_PX, length_px) for start in starts]

    position = np.arange(length_px, dtype=np.float64) + 0.5
    steps = [np.ones(length_px)]
    for stop, next_start in zip(stops[:-1], starts[1:], strict=True):
        feather = max(1, min(feather_px, (stop - next_start) // 2))
        rise = np.clip((position - (stop + next_start) / 2) / feather + 0.5, 0, 1)
        steps.append(0.5 - 0.5 * np.cos(np.pi * rise))
    steps.append(np.zeros(length_px))
    return tuple(
        Span(start_px=start, stop_px=stop, weights=(step - next_step)[start:stop].astype(np.float32))
        for start, stop, step, next_step in zip(starts, stops, steps[:-1], steps[1:], strict=True)
    )
