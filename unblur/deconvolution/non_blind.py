"""The sharp image that a known blur turned into a blurry one: non-blind deconvolution in linear light.

Half-quadratic splitting with a hyper-Laplacian prior on gradients (Krishnan and Fergus 2009, "Fast Image Deconvolution
using Hyper-Laplacian Priors"); the gradients of the colours are shrunk together. `clipped_light` treats the light
outside of the frame and clipped pixels.
"""

from dataclasses import dataclass
from functools import partial

from torch import Tensor, fft

from unblur.deconvolution.camera_path import CameraPath
from unblur.deconvolution.clipped_light import find_clipped_light, replace_clipped_light
from unblur.deconvolution.fourier import compute_difference_transfers, compute_transfer_function, extend
from unblur.deconvolution.varying_blur import solve_by_windows

EXPONENT = 0.8
"""Exponent of the hyper-Laplacian prior; Krishnan and Fergus give 0.5 to 0.8 for photographs."""

ROUNDS = 5
"""Rounds of half-quadratic splitting; the coupling is multiplied by 4 from one to the next."""


@dataclass(frozen=True, kw_only=True)
class Deconvolution:
    """The strength of the prior in deconvolution."""

    noise: float
    """Standard deviation of the noise in linear light, white being 1."""

    @property
    def weight(self) -> float:
        """The weight of the prior relative to the data term; it grows with the variance of the noise."""
        return 2e-4 + 20 * self.noise**2


def deconvolve(
    blurry: Tensor, path: CameraPath, settings: Deconvolution, *, left_px: int = 0, top_px: int = 0
) -> Tensor:
    """Deconvolve a photograph, or the part of it that begins at (left, top). (C, H, W) linear light -> same.

    Values below 0 and above 1 occur: above 1 where the photograph is clipped.
    """
    sharp = deconvolve_sparse(blurry, path, settings, left_px=left_px, top_px=top_px)
    return replace_clipped_light(sharp, blurry, path, left_px=left_px, top_px=top_px)


def deconvolve_sparse(
    blurry: Tensor, path: CameraPath, settings: Deconvolution, *, left_px: int = 0, top_px: int = 0
) -> Tensor:
    """Deconvolve with the sparse prior alone, which rings around clipped lights; otherwise like `deconvolve`."""
    return solve_by_windows(blurry, path, partial(_deconvolve_window, weight=settings.weight), left_px, top_px)


def _deconvolve_window(blurry: Tensor, kernel: Tensor, weight: float) -> Tensor:
    """Deconvolve a window with one kernel. (C, H, W) -> same."""
    extended = extend(blurry, kernel.shape[-1])
    size = extended.size
    transfer = compute_transfer_function(kernel, size)
    steps = compute_difference_transfers(size, blurry)
    power, gradient_power = transfer.abs().square(), steps.abs().square().sum(0)
    missing = find_clipped_light(extended)
    spectrum = light_spectrum = fft.rfft2(extended.image)
    coupling = 2 * weight
    for step in range(ROUNDS):
        if step:
            light_spectrum = fft.rfft2(missing.complete(fft.irfft2(transfer * spectrum, s=size)))
        gradients = fft.irfft2(spectrum[:, None] * steps, s=size)
        gradients = gradients * _compute_shrinkage(gradients, weight / coupling)
        target = (steps.conj() * fft.rfft2(gradients)).sum(1)
        data = transfer.conj() * light_spectrum
        spectrum = (data + coupling * target) / (power + coupling * gradient_power + 1e-7)
        coupling *= 4
    return extended.crop(fft.irfft2(spectrum, s=size))


def _compute_shrinkage(gradients: Tensor, threshold: float) -> Tensor:
    """Return the factor that minimises `threshold |v|^p + (|v| - |g|)^2 / 2` for colours and directions together.

    A few fixed-point iterations. Shape: (C, 2, H, W) -> (H, W).
    """
    length = gradients.square().sum((0, 1)).sqrt() + 1e-8
    shrunk = length
    for _ in range(3):
        shrunk = (length - threshold * EXPONENT * shrunk.clamp(min=1e-3) ** (EXPONENT - 1)).clamp(min=0)
    return shrunk / length
