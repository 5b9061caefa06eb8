"""Blur that varies over the frame: the image is cut into windows with one kernel each, which are solved and blended.

Source: Hirsch et al. 2011, "Fast Removal of Non-uniform Camera Shake".
"""

from collections.abc import Callable

import torch
from torch import Tensor

from unblur.deconvolution.camera_path import CameraPath

LARGEST_VARIATION_PX = 1.5
"""Difference of kernels within a window that is neglected."""

SMALLEST_WINDOW_PX, LARGEST_WINDOW_PX = 64, 256

SolveWindow = Callable[[Tensor, Tensor], Tensor]
"""(C, H, W) linear light and its kernel, (S, S) -> (..., C, H, W)."""


def solve_by_windows(blurry: Tensor, path: CameraPath, solve: SolveWindow, left_px: int, top_px: int) -> Tensor:
    """Apply `solve` to every window of the part of a photograph that begins at (left, top), and blend the results.

    Where one kernel serves the whole part, `solve` gets the whole part. (C, H, W) linear light -> (..., C, H, W).
    """
    height, width = blurry.shape[1:]
    window_px = _choose_window_px(path)
    whole = path.compute_variation_px(height, width) <= LARGEST_VARIATION_PX
    rows = [(0, height)] if whole else _split_in_spans(height, window_px)
    columns = [(0, width)] if whole else _split_in_spans(width, window_px)
    places = torch.tensor(
        [
            [left_px + (left + right - 1) / 2, top_px + (top + bottom - 1) / 2]
            for top, bottom in rows
            for left, right in columns
        ]
    )
    kernels = iter(path.compute_kernels_at(places))
    if len(rows) == len(columns) == 1:
        return solve(blurry, next(kernels))
    total: Tensor | None = None
    weights = torch.zeros_like(blurry[:1])
    for top, bottom in rows:
        for left, right in columns:
            solved = solve(blurry[:, top:bottom, left:right], next(kernels))
            share = _compute_blending_weights(bottom - top)[:, None] * _compute_blending_weights(right - left)
            total = blurry.new_zeros(*solved.shape[:-2], height, width) if total is None else total
            total[..., top:bottom, left:right] += share * solved
            weights[:, top:bottom, left:right] += share
    assert total is not None
    return total / weights


def _choose_window_px(path: CameraPath) -> int:
    """The side of windows in which the kernel is nearly the same, not much smaller than the kernel."""
    variation_px = path.compute_variation_px(1, 1)
    fitting = LARGEST_WINDOW_PX if variation_px == 0 else int(LARGEST_VARIATION_PX / variation_px)
    smallest = max(SMALLEST_WINDOW_PX, 2 * round(path.length_px))
    return min(max(fitting, smallest), max(LARGEST_WINDOW_PX, smallest))


def _split_in_spans(length: int, window_px: int) -> list[tuple[int, int]]:
    """Windows of equal size that overlap by a half, or one that holds everything."""
    if length <= window_px:
        return [(0, length)]
    count = -(-2 * (length - window_px) // window_px) + 1
    starts = [index * (length - window_px) // (count - 1) for index in range(count)]
    return [(start, start + window_px) for start in starts]


def _compute_blending_weights(length: int) -> Tensor:
    """A Hann window without its zeros, (length,)."""
    return torch.hann_window(length + 2, periodic=False)[1:-1]
