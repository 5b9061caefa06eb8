"""Richardson-Lucy deconvolution with a kernel that is estimated from the photograph: the classical way to undo motion.

Source: Richardson, "Bayesian-Based Iterative Method of Image Restoration", JOSA 62(1), 1972; Lucy, "An iterative
technique for the rectification of observed distributions", The Astronomical Journal 79(6), 1974. It works on linear
light, in which blur is a sum. The kernel is that of even, straight motion (see `line_blur`), the same everywhere; a
photograph in which no such motion is found stays as it is.
"""

import math
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from experiments.baselines.line_blur import estimate_line_blur, make_line_kernel
from unblur.evaluation.peers.planes import to_pixels, to_planes
from unblur.photos.color import linear_to_srgb, srgb_to_linear

ROUNDS = 30
"""A usual number; more rounds sharpen noise."""
START = 0.5
DARKEST = 1e-12
"""Added before dividing, as scikit-image does."""


def restore(blurry: NDArray[Any]) -> NDArray[Any]:
    """Deconvolve even, straight motion. Shape: (H, W, 3) uint8 sRGB -> same."""
    light = srgb_to_linear(to_planes(blurry))[0]
    blur = estimate_line_blur(light)
    if blur.length_px == 0:
        return blurry.copy()
    kernel = make_line_kernel(blur)
    # The light beyond the borders is unknown; the margin that its error reaches is cropped again.
    reach = min(2 * kernel.shape[0], min(light.shape[1:]) - 1)
    padded = F.pad(light[None], (reach,) * 4, mode="reflect")[0]
    restored = deconvolve(padded, kernel, ROUNDS)[:, reach:-reach, reach:-reach]
    return to_pixels(linear_to_srgb(restored.clamp(0, 1))[None])


def deconvolve(picture: Tensor, kernel: Tensor, rounds: int) -> Tensor:
    """Deconvolve (C, H, W) linear light, 0 and up, with a kernel (side, side), odd and sum 1 -> (C, H, W) float64.

    Black is taken to lie beyond the borders, as in scikit-image's richardson_lucy.
    """
    blurry = picture.double()
    # At least as large as the whole convolution, and quick to transform.
    size = [math.ceil((side + kernel.shape[0] - 1) / 32) * 32 for side in blurry.shape[1:]]
    reach = kernel.shape[0] // 2
    waves = torch.fft.rfft2(kernel.double(), s=size)
    mirrored = torch.fft.rfft2(kernel.double().flip(0, 1), s=size)
    estimate = torch.full_like(blurry, START)
    for _ in range(rounds):
        ratio = blurry / (_convolve(estimate, waves, size, reach) + DARKEST)
        estimate = estimate * _convolve(ratio, mirrored, size, reach)
    return estimate


def _convolve(picture: Tensor, waves: Tensor, size: list[int], reach: int) -> Tensor:
    """Convolve with the kernel whose transform is `waves`, `reach` pixels to each side; the size of the image stays."""
    whole: Tensor = torch.fft.irfft2(torch.fft.rfft2(picture, s=size) * waves, s=size)
    return whole[:, reach : reach + picture.shape[1], reach : reach + picture.shape[2]]
