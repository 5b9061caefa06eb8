"""Colour correction: a generated photograph gets the low frequencies of the restoration without generated detail.

Networks that generate detail drift in colour and brightness. Everything coarser than a few dozen pixels is taken from
the reference, everything finer from the generated image.

Source: the wavelet colour correction of StableSR (Wang et al. 2023, arXiv 2305.07015), whose low frequencies are those
of the undecimated ("a trous") wavelet transform: smoothed five times with (1, 2, 1) / 4, with a growing dilation.
"""

import torch.nn.functional as F
from torch import Tensor

HOLES_PX = (1, 2, 4, 8, 16)
"""Pixels between the taps of each smoothing."""

REACH_PX = sum(HOLES_PX)
"""Reach of low frequencies in pixels, so that tiles with this context have those of the whole photograph."""

_TAPS = (0.25, 0.5, 0.25)


def extract_low_frequencies(picture: Tensor) -> Tensor:
    """Smooth `picture` with about a Gaussian of 13 px standard deviation; edges are repeated. Shape: (B, C, H, W)."""
    channels = picture.shape[1]
    taps = picture.new_tensor(_TAPS)
    rows, columns = taps.view(1, 1, 3, 1).expand(channels, 1, 3, 1), taps.view(1, 1, 1, 3).expand(channels, 1, 1, 3)
    for holes in HOLES_PX:
        picture = F.pad(picture, (holes, holes, holes, holes), mode="replicate")
        picture = F.conv2d(picture, rows, dilation=(holes, 1), groups=channels)
        picture = F.conv2d(picture, columns, dilation=(1, holes), groups=channels)
    return picture


def replace_low_frequencies(reference: Tensor, picture: Tensor) -> Tensor:
    """Return the detail of `picture` on the colours of `reference`. Shape: (B, C, H, W) each -> same."""
    return picture + extract_low_frequencies(reference - picture)
