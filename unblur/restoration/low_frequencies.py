"""Colours that stay: the low frequencies of a generated photograph are those of the restoration that nothing invented.

One idea: networks that generate detail drift in colour and brightness, which nobody asked them for. Everything coarser
than a few dozen pixels is taken from the reference, everything finer from what was generated.

Source: the wavelet colour correction of StableSR (Wang et al. 2023, arXiv 2305.07015), whose low frequencies are those
of the undecimated ("a trous") wavelet transform: smoothed five times with (1, 2, 1) / 4, with ever wider holes.
"""

import torch.nn.functional as F
from torch import Tensor

HOLES_PX = (1, 2, 4, 8, 16)
"""Pixels between the taps of each smoothing."""

REACH_PX = sum(HOLES_PX)
"""Reach of low frequencies in pixels, so that tiles with this context have those of the whole photograph."""

_TAPS = (0.25, 0.5, 0.25)


def low_frequencies(picture: Tensor) -> Tensor:
    """`picture` smoothed with about a Gaussian of 13 px deviation; edges are repeated. Shape: (B, C, H, W)."""
    channels = picture.shape[1]
    taps = picture.new_tensor(_TAPS)
    rows, columns = taps.view(1, 1, 3, 1).expand(channels, 1, 3, 1), taps.view(1, 1, 1, 3).expand(channels, 1, 1, 3)
    for holes in HOLES_PX:
        picture = F.pad(picture, (holes, holes, holes, holes), mode="replicate")
        picture = F.conv2d(picture, rows, dilation=(holes, 1), groups=channels)
        picture = F.conv2d(picture, columns, dilation=(1, holes), groups=channels)
    return picture


def with_low_frequencies_of(reference: Tensor, picture: Tensor) -> Tensor:
    """The detail of `picture` on the colours of `reference`. Shape: (B, C, H, W) each -> same."""
    return picture + low_frequencies(reference - picture)
