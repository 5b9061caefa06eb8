"""Removal of grain from the detail that a deconvolution adds.

Deconvolution amplifies noise, and noise that a camera has smoothed and compressed is not what a fusion network was
trained on, so that some of it is left as grain. The added detail is decomposed by the undecimated wavelet transform
with B3 splines (Starck, Fadili and Murtagh 2007, "The undecimated wavelet decomposition and its reconstruction"); the
noise of each level is the median of its absolute coefficients over 0.6745 (Donoho and Johnstone 1994, "Ideal spatial
adaptation by wavelet shrinkage") in the smoothest parts, where grain is visible and nothing else is measured, and
coefficients are shrunk by the non-negative garrote (Gao 1998, "Wavelet shrinkage denoising using the non-negative
garrote") with a multiple of it. Edges and texture have coefficients many times as large, which hardly change.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 3
"""Levels of the transform: grain of 1, 2 and 4 pixels."""

SHRINKAGE = 5.0
"""Standard deviations of the noise up to which coefficients become 0. On 15 simulated pictures this costs 0.02 dB on
average (soft thresholding: 0.06 dB), and in real photographs it removes most of the visible grain; 3 removes half."""

MOST_GRAIN = (0.15 / 255, 0.1 / 255, 0.06 / 255)
"""Largest noise of each level; more is texture in pictures without smooth parts (otherwise up to 1.5 dB are lost)."""

SMOOTHEST = 0.1
"""Share of the parts that are smooth enough to measure noise in."""

_PART_PX = 16

_SPLINE = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
_MEDIAN_OF_NORMAL = 0.6745
"""Median absolute value of a normal distribution with a standard deviation of 1."""


def measure_grain(detail: Tensor) -> Tensor:
    """Return the standard deviation of the noise in `detail`, (1, C, H, W), for each level and channel: (LEVELS, C).

    H and W must be at least 16.
    """
    bands, _ = _decompose(detail)
    return torch.stack([_measure_noise(band).clamp(max=most) for band, most in zip(bands, MOST_GRAIN, strict=True)])


def remove_grain(detail: Tensor, grain: Tensor) -> Tensor:
    """Shrink the coefficients of `detail`, (1, C, H, W) -> same; `grain` is the result of `measure_grain`."""
    bands, smooth = _decompose(detail)
    for band, noise in zip(bands, grain, strict=True):
        threshold = SHRINKAGE * noise.to(band)[None, :, None, None]
        smooth = smooth + band * (1 - (threshold / band.abs().clamp(min=1e-12)).square()).clamp(min=0)
    return smooth


def _measure_noise(band: Tensor) -> Tensor:
    """Return the standard deviation of the noise in (1, C, H, W), measured in its smoothest parts: (C,)."""
    rows, columns = (side // _PART_PX for side in band.shape[2:])
    parts = band[0, :, : rows * _PART_PX, : columns * _PART_PX].abs()
    parts = parts.reshape(-1, rows, _PART_PX, columns, _PART_PX).transpose(2, 3)
    medians = parts.flatten(3).median(dim=3).values.flatten(1)
    return torch.quantile(medians, SMOOTHEST, dim=1) / _MEDIAN_OF_NORMAL


def _decompose(detail: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return the bands of `detail`, finest first, and the smooth rest; they add up to `detail`."""
    # Half the digits of the bands would be lost in bfloat16.
    with torch.autocast(detail.device.type, enabled=False):
        smooth, bands = detail.float(), []
        for level in range(LEVELS):
            coarser = _smooth(smooth, 2**level)
            bands.append(smooth - coarser)
            smooth = coarser
    return bands, smooth


def _smooth(image: Tensor, spacing_px: int) -> Tensor:
    """Convolve with the spline, whose samples are `spacing_px` apart."""
    channels = image.shape[1]
    spline = image.new_tensor(_SPLINE).expand(channels, 1, 1, -1)
    margin = 2 * spacing_px
    for kernel, padding, dilation in (
        (spline, (margin, margin, 0, 0), (1, spacing_px)),
        (spline.transpose(2, 3), (0, 0, margin, margin), (spacing_px, 1)),
    ):
        image = F.conv2d(F.pad(image, padding, mode="replicate"), kernel, dilation=dilation, groups=channels)
    return image
