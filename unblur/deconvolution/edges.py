"""Estimates a blur kernel without learned weights: an L0 prior selects strong edges, from coarse to fine.

Source: Pan et al. 2014, "Deblurring Text Images via L0-Regularized Intensity and Gradient Prior", its gradient prior
(first in Xu et al. 2013, "Unnatural L0 Sparse Representation for Natural Image Deblurring"). Differences: kernels are
fitted with the constraint that they are not negative, instead of being clipped afterwards, and only values below 3 %
of the largest are removed, not 5 %.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, fft

from unblur.deconvolution.fourier import Extended, compute_difference_transfers, compute_transfer_function, extend
from unblur.deconvolution.kernel import clean_kernel, make_point_kernel, resize_kernel
from unblur.deconvolution.least_squares import fit_kernel

FIRST_WEIGHT, LAST_WEIGHT, DECAY = 4e-3, 1e-4, 1.1
"""Weight of the number of non-zero gradients: at first, at last, and by how much it falls from one fit to the next."""

REFINING_WEIGHT = 2e-3
"""The first weight where the kernel is known roughly."""

SMALLEST_VALUE = 0.03
"""Share of a kernel's largest value below which its values are noise."""

SMALLEST_REFINED_VALUE = 0.015
"""The same where the kernel is known roughly: faint tails matter, and there is less noise to remove."""

STRONGEST_COUPLING = 100.0
"""Half-quadratic splitting ends when gradients and their thresholded copies are coupled by more than this."""

SMALLEST_KERNEL_PX = 5


def estimate_kernel_by_edges(
    blurry: Tensor, side: int, *, fits: int = 5, on_size: Callable[[float], None] | None = None
) -> Tensor:
    """Return the kernel of a grey photograph, (H, W) linear light in [0, 1] -> (side, side) with sum 1.

    `side` is odd and at least the length of the blur; `fits` is how often the kernel is fitted at each size.
    `on_size` is called after each size with the share of the work that is done; exceptions from it end the estimate.
    """
    steps = max(1, math.ceil(2 * math.log2(side / SMALLEST_KERNEL_PX)))
    kernel: Tensor | None = None
    weight = FIRST_WEIGHT
    for step in reversed(range(steps + 1)):
        scale = 2 ** (-step / 2)
        own_side = max(3, round(side * scale) | 1)
        if kernel is None:
            # Not a point, from which the first fit could not move.
            kernel = torch.zeros(own_side, own_side)
            kernel[own_side // 2 - 1 : own_side // 2 + 2, own_side // 2 - 1 : own_side // 2 + 2] = 1 / 9
        else:
            kernel = clean_kernel(resize_kernel(kernel, own_side), SMALLEST_VALUE)
        resized = blurry if scale == 1 else _resize(blurry, scale)
        kernel, weight = _fit(resized, kernel, weight, fits, SMALLEST_VALUE)
        if on_size is not None:
            # The work grows with the number of pixels.
            on_size(scale**2)
    assert kernel is not None
    return _replace_empty(kernel)


def refine_kernel_by_edges(
    blurry: Tensor, start: Tensor, *, fits: int = 4, on_size: Callable[[float], None] | None = None
) -> Tensor:
    """Sharpen a kernel that is about right, `start`, by the last sizes of `estimate_kernel_by_edges`. Same shape.

    `blurry` is (H, W) linear light in [0, 1]; `on_size` is that of `estimate_kernel_by_edges`.
    """
    kernel, weight = start, REFINING_WEIGHT
    for scale in (0.5, 2**-0.5, 1.0):
        side = max(3, round(len(start) * scale) | 1)
        kernel = clean_kernel(kernel if len(kernel) == side else resize_kernel(kernel, side), SMALLEST_REFINED_VALUE)
        resized = blurry if scale == 1 else _resize(blurry, scale)
        kernel, weight = _fit(resized, kernel, weight, fits, SMALLEST_REFINED_VALUE)
        if on_size is not None:
            on_size(scale**2)
    return _replace_empty(kernel)


def _fit(blurry: Tensor, kernel: Tensor, weight: float, fits: int, smallest: float) -> tuple[Tensor, float]:
    """Fit the kernel several times at one size of the photograph. Returns it and the weight of the next fit.

    Values below `smallest`, as a share of the largest, are removed.
    """
    side = len(kernel)
    extended = extend(blurry, side + 2)
    for _ in range(fits):
        sharp = extended.crop(restore_edges(extended, kernel, weight))
        kernel = clean_kernel(fit_kernel(sharp, blurry, side, kernel), smallest)
        weight = max(weight / DECAY, LAST_WEIGHT)
    return kernel, weight


def _replace_empty(kernel: Tensor) -> Tensor:
    """Replace an empty kernel, of a photograph without edges, by a point."""
    return kernel if bool(kernel.any()) else make_point_kernel(len(kernel))


def restore_edges(blurry: Extended, kernel: Tensor, weight: float) -> Tensor:
    """Return the image with few non-zero gradients that `kernel` blurs to `blurry`, by half-quadratic splitting.

    (H, W).
    """
    size = blurry.size
    transfer = compute_transfer_function(kernel, size)
    steps = compute_difference_transfers(size, blurry.image)
    gradient_power = steps.abs().square().sum(0)
    spectrum = fft.rfft2(blurry.image)
    data, power = transfer.conj() * spectrum, transfer.abs().square()
    coupling = 2 * weight
    while coupling < STRONGEST_COUPLING:
        gradients = fft.irfft2(spectrum * steps, s=size)
        gradients = gradients * (gradients.square().sum(0) >= weight / coupling)
        target = (steps.conj() * fft.rfft2(gradients)).sum(0)
        spectrum = (data + coupling * target) / (power + coupling * gradient_power + 1e-8)
        coupling *= 2
    sharp: Tensor = fft.irfft2(spectrum, s=size)
    return sharp


def _resize(image: Tensor, scale: float) -> Tensor:
    height, width = (max(16, round(length * scale)) for length in image.shape)
    return F.interpolate(image[None, None], (height, width), mode="bicubic", align_corners=False, antialias=True)[0, 0]
