"""Deconvolution by Wiener filters of several strengths: little noise or few ripples, for a network to choose from.

A filter divides the spectrum of the photograph by that of the kernel where the kernel passes light, and suppresses the
rest: Wiener 1949, with the power of gradients as the prior of the image. Weak filters show most detail and amplify
noise and errors of the kernel; strong ones are smooth. No single strength is right everywhere in a photograph, so the
fusion network gets several, as Son and Lee 2017, "Fast Non-blind Deconvolution via Regularized Residual Networks with
Long/Short Skip-Connections", give theirs one.
"""

from functools import partial

import torch
from torch import Tensor, fft

from unblur.deconvolution.camera_path import CameraPath
from unblur.deconvolution.clipped_light import find_clipped_light
from unblur.deconvolution.fourier import compute_difference_transfers, compute_transfer_function, extend
from unblur.deconvolution.varying_blur import solve_by_windows

PRIOR_WEIGHTS = (1e-3, 8e-3, 6.4e-2)
"""Weights of the squared gradients of the image relative to the data term."""

COMPLETING_WEIGHT = 4e-3
"""The weight with which missing light is completed."""

ROUNDS = 3
"""Number of times that missing light is completed."""


def deconvolve_wiener(
    blurry: Tensor, path: CameraPath, weights: tuple[float, ...] = PRIOR_WEIGHTS, *, left_px: int = 0, top_px: int = 0
) -> Tensor:
    """Deconvolve a photograph, or the part of it that begins at (left, top), with each of `weights`.

    (C, H, W) linear light -> (len(weights), C, H, W) linear light. Values below 0 and above 1 occur.
    """
    return solve_by_windows(blurry, path, partial(_deconvolve_window, weights=weights), left_px, top_px)


def _deconvolve_window(blurry: Tensor, kernel: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Deconvolve a window (C, H, W) with a kernel (S, S) -> (len(weights), C, H, W)."""
    extended = extend(blurry, kernel.shape[-1])
    size = extended.size
    transfer = compute_transfer_function(kernel, size)
    power = transfer.abs().square()
    gradient_power = compute_difference_transfers(size, blurry).abs().square().sum(0)
    missing = find_clipped_light(extended)
    light = extended.image
    for _ in range(ROUNDS):
        again = fft.irfft2(fft.rfft2(light) * (power / (power + COMPLETING_WEIGHT * gradient_power + 1e-7)), s=size)
        light = missing.complete(again)
    data = transfer.conj() * fft.rfft2(light)
    filtered = [data / (power + weight * gradient_power + 1e-7) for weight in weights]
    sharp = torch.stack([fft.irfft2(spectrum, s=size) for spectrum in filtered])
    return extended.crop(sharp)
