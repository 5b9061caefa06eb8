"""The noise of a whole photograph, from its smoothest places."""

from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from unblur.deconvolution.noise import estimate_noise
from unblur.photos.color import luma
from unblur.restoration.windows import to_float, to_tensor

WINDOW_PX = 32
"""Side of the windows that noise is estimated in."""

PATCH_PX, PATCHES = 128, 5
"""Side of the patches that are taken from the photograph, and how many of them in each direction at most."""

SMOOTH_SHARE = 0.05
"""Quantile over the windows that is the photograph's noise: the others have texture, which looks like noise."""

DARKEST, BRIGHTEST = 8.0, 247.0
"""Mean grey levels between which a window is not clipped."""


def measure_noise_level(pixels: NDArray[Any]) -> float:
    """Return the standard deviation of the noise of the luminance of (H, W, 1 or 3), in 8-bit grey levels.

    The larger one of the estimates at full size and at half size, because JPEG removes the finest noise first.
    """
    levels = [level for patch in _cut_patches(pixels) for level in _measure_levels(patch)]
    if not levels:
        return 0.0
    return float(torch.tensor(levels).quantile(SMOOTH_SHARE))


def _cut_patches(pixels: NDArray[Any]) -> list[Tensor]:
    """Return patches spread evenly over the photograph, (H, W) in grey levels each."""
    height, width = pixels.shape[:2]
    patches = []
    for top in _place_starts(height):
        for left in _place_starts(width):
            part = pixels[top : top + PATCH_PX, left : left + PATCH_PX]
            patches.append(255 * luma(to_tensor(to_float(part), torch.device("cpu"))[0]))
    return patches


def _place_starts(length: int) -> list[int]:
    count = min(PATCHES, max(1, length // PATCH_PX))
    room = max(0, length - PATCH_PX)
    return [room * (2 * index + 1) // (2 * count) for index in range(count)]


def _measure_levels(patch: Tensor) -> list[float]:
    """Return the noise of each window of (H, W) grey levels, at least 32 x 32, that is not clipped."""
    windows = patch.unfold(0, WINDOW_PX, WINDOW_PX).unfold(1, WINDOW_PX, WINDOW_PX).flatten(0, 1)
    levels = []
    for window in windows:
        if DARKEST < float(window.mean()) < BRIGHTEST:
            half = F.avg_pool2d(window[None], 2)
            levels.append(max(estimate_noise(window), 2 * estimate_noise(half)))
    return levels
