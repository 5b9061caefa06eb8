"""Features of a blur kernel from a blurry image and a rough restoration of it, as images of the kernel's size.

Each feature is a correlation or a regularised quotient of spectra, cut to the window in which the kernel lies. Turning
or mirroring both images turns or mirrors all features, and the kernel with them.
"""

import torch
from torch import Tensor, fft

from unblur.deconvolution.fourier import compute_differences, compute_taper, find_fast_length

WINDOW_PX = 65
"""Side of the features: kernels up to about this long can be described."""

FEATURES = 8

_QUOTIENTS = ((0.003, 8.0), (0.03, 8.0), (0.3, 16.0), (3.0, 64.0))
"""Regularisation of each quotient, relative to the mean power of the sharp gradients, and its scale factor."""


def compute_kernel_features(blurry: Tensor, sharp: Tensor) -> Tensor:
    """Features of the kernel with `sharp * kernel ~ blurry`. (H, W) linear light, twice -> (FEATURES, 65, 65).

    The first four are quotients of cross and power spectra (Wiener's estimate of the kernel), the fifth is the
    cross-correlation of the gradients; the others use the power of the blurry gradients, which knows nothing of
    phases and therefore does not depend on errors of `sharp`.
    """
    height, width = blurry.shape
    window = compute_taper(height, width, min(height, width) // 6)
    size = find_fast_length(height + WINDOW_PX), find_fast_length(width + WINDOW_PX)
    ours, theirs = (fft.rfft2(compute_differences(image) * window, s=size) for image in (sharp, blurry))
    cross, power = (ours.conj() * theirs).sum(0), ours.abs().square().sum(0)
    blurry_power = theirs.abs().square().sum(0)
    mean = power.mean() + 1e-12

    def cut(spectrum: Tensor) -> Tensor:
        reach = WINDOW_PX // 2
        moved: Tensor = fft.irfft2(spectrum, s=size).roll((reach, reach), (0, 1))
        return moved[:WINDOW_PX, :WINDOW_PX]

    quotients = [scale * cut(cross / (power + share * mean)) for share, scale in _QUOTIENTS]
    correlation = cut(cross)
    phase_free = (blurry_power, blurry_power.clamp(min=1e-12).sqrt(), blurry_power / (power + 0.03 * mean))
    return torch.stack(
        [
            *quotients,
            correlation / correlation.abs().max().clamp(min=1e-12),
            *(spread / spread.max().clamp(min=1e-12) for spread in map(cut, phase_free)),
        ]
    )
