"""Light that is missing in a photograph: outside of its frame, and where the sensor is clipped.

While an image is deconvolved by transforms, this light is replaced by that of the reblurred estimate, so that borders
do not ring. Pixels that a clipped light reaches are deconvolved in another way, by the Richardson-Lucy algorithm: its
steps are local and its light is never negative, so that a lamp of unknown brightness becomes small and does not ring.

Source: Whyte, Sivic and Zisserman 2014, "Deblurring Shaken and Partially Saturated Images", whose sensor clips light
above white; accelerated as in Biggs and Andrews 1997, "Acceleration of iterative image restoration algorithms".
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, fft

from unblur.deconvolution.camera_path import CameraPath
from unblur.deconvolution.fourier import Extended, compute_transfer_function, extend
from unblur.deconvolution.varying_blur import solve_by_windows

CLIPPED = 0.97
"""Linear light, as a share of white, from which a pixel counts as clipped."""

CLIPPED_AT_NIGHT = 0.5
"""The same for photographs at night: tone curves compress the light of lamps, which is far above white."""

LARGEST_MEDIAN_AT_NIGHT = 0.03
"""Largest median of the linear light of a photograph at night, as a share of white."""

REACHED_GAIN = 500.0
"""Share of a pixel that is deconvolved apart, for each share of its light that is connected with clipped pixels."""

ITERATIONS = 10
"""Iterations of the Richardson-Lucy algorithm; more of them amplify errors of the kernel."""

DARKEST = 1e-4
"""Smallest linear light in the Richardson-Lucy algorithm, which divides by it."""

LARGEST_ACCELERATION = 0.9
"""Largest share of the last step that is repeated; 1 does not converge."""

LARGEST_FACTOR = 5.0
"""Largest factor by which acceleration changes a pixel in an iteration."""


@dataclass(frozen=True, kw_only=True)
class ClippedLight:
    """Extended image, (C, H, W) linear light, with a mask of clipped pixels."""

    extended: Extended
    clipped: Tensor
    """(C, H, W) bool."""

    def complete(self, again: Tensor) -> Tensor:
        """Replace the image's missing light by that of `again`, the reblurred estimate. Shape: (C, H, W) -> same."""
        image = self.extended.image
        at_least = torch.where(self.clipped, torch.maximum(again, image), again)
        return torch.where((self.extended.known > 0) & ~self.clipped, image, at_least)


def is_night(light: Tensor) -> bool:
    """Return whether most of a photograph, (C, H, W) linear light, is dark."""
    return float(light.amax(dim=0).median()) <= LARGEST_MEDIAN_AT_NIGHT


def choose_clipping_level(light: Tensor) -> float:
    """Return the linear light from which a pixel of a photograph, (C, H, W), counts as clipped."""
    return CLIPPED_AT_NIGHT if is_night(light) else CLIPPED


def find_clipped_light(extended: Extended, level: float = CLIPPED) -> ClippedLight:
    """Find the pixels of an extended image that are clipped, from `level` in linear light on."""
    return ClippedLight(extended=extended, clipped=(extended.image >= level) & (extended.known > 0))


def replace_clipped_light(
    sharp: Tensor,
    blurry: Tensor,
    path: CameraPath,
    *,
    level: float = CLIPPED,
    left_px: int = 0,
    top_px: int = 0,
) -> Tensor:
    """Replace the parts of deconvolved images that clipped light reaches by those of the Richardson-Lucy algorithm.

    Args:
        sharp: (..., 3, H, W) linear light, deconvolutions of `blurry`.
        blurry: (3, H, W) linear light, white being 1.
        path: The path of the camera.
        level: Linear light from which a pixel counts as clipped.
        left_px: Place of `blurry` in the photograph.
        top_px: Place of `blurry` in the photograph.

    Returns:
        Linear light of the shape of `sharp`. Values above 1 occur where the photograph is clipped.
    """
    if not bool((blurry >= level).any()):
        return sharp
    solved = solve_by_windows(blurry, path, partial(_deconvolve_window, level=level), left_px, top_px)
    bright, reached = solved[:-1], solved[-1:]
    return sharp + reached * (bright - sharp)


def _deconvolve_window(blurry: Tensor, kernel: Tensor, level: float) -> Tensor:
    """Deconvolve a window (C, H, W) with a kernel (S, S) -> (C + 1, H, W): the image, and the share to use of it."""
    extended = extend(blurry, kernel.shape[-1])
    missing = find_clipped_light(extended, level)
    if not bool(missing.clipped.any()):
        return torch.cat([blurry, torch.zeros_like(blurry[:1])])
    transfer = compute_transfer_function(kernel, extended.size)
    # Possible origins of the light of clipped pixels, and all pixels that these light: ripples end there.
    lit = fft.rfft2(missing.clipped.any(dim=0, keepdim=True).to(blurry.dtype))
    reached = (REACHED_GAIN * fft.irfft2(transfer.abs().square() * lit, s=extended.size)).clamp(0, 1)
    return extended.crop(torch.cat([_iterate(missing, transfer), reached]))


def _iterate(missing: ClippedLight, transfer: Tensor) -> Tensor:
    """Return the result of the Richardson-Lucy algorithm, (C, H, W) of the extended image."""
    size = missing.extended.size
    observed = missing.extended.image.clamp(min=DARKEST)
    current = before = observed
    step = step_before = torch.zeros_like(observed)
    for iteration in range(ITERATIONS):
        ahead = current
        if iteration > 1:
            share = ((step * step_before).sum() / step_before.square().sum().clamp(min=1e-12)).clamp(
                0, LARGEST_ACCELERATION
            )
            ahead = current * (current / before).clamp(1 / LARGEST_FACTOR, LARGEST_FACTOR) ** share
        again = fft.irfft2(transfer * fft.rfft2(ahead), s=size).clamp(min=DARKEST)
        ratio = missing.complete(again) / again
        following = (ahead * fft.irfft2(transfer.conj() * fft.rfft2(ratio), s=size)).clamp(min=DARKEST)
        step, step_before = following - ahead, step
        current, before = following, current
    return current
