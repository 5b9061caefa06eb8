"""What can be measured of a restored picture: one constant a column of the tables, over the pixels that count.

Masked PSNR and SSIM are those of RealBlur's evaluation (Rim et al., ECCV 2020): both pictures are zero where nothing
was seen; the squared error is divided by the number of seen values; the map of SSIM, without the border where windows
would be cut, is averaged over the seen pixels of each channel, then over channels. Where all is seen they are
`unblur.metrics.psnr` and `unblur.metrics.ssim`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from unblur.evaluation.alignment import Aligned
from unblur.metrics import psnr, ssim
from unblur.metrics.ssim import C1, C2, RADIUS_PX, SIGMA_PX

When = Literal["before", "after"]
"""Of the blurry photograph or of the restored one."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that tells how near a picture is to its sharp twin."""

    name: str
    """In lower case, as the columns of the CSV have it."""
    unit: str = ""
    measure: Callable[[Aligned], float]

    def column(self, when: When) -> str:
        """The column of the CSV that holds it."""
        return f"{self.name}_{when}{f'_{self.unit}' if self.unit else ''}"


def _psnr(pictures: Aligned) -> float:
    if bool(pictures.seen.all()):
        return float(psnr(pictures.picture[None], pictures.sharp[None]))
    error = (pictures.picture - pictures.sharp).square().sum() / (3 * pictures.seen.sum())
    return float(-10 * torch.log10(error))


def _ssim(pictures: Aligned) -> float:
    if bool(pictures.seen.all()):
        return float(ssim(pictures.picture[None], pictures.sharp[None]))
    seen = pictures.seen[RADIUS_PX:-RADIUS_PX, RADIUS_PX:-RADIUS_PX]
    similarity = _similarity(pictures.picture.double(), pictures.sharp.double())
    return float((similarity * seen).sum(dim=(1, 2)).div(seen.sum()).mean())


def _similarity(x: Tensor, y: Tensor) -> Tensor:
    """Wang's index of every window inside two pictures: (3, H, W) twice -> (3, H - 10, W - 10)."""
    mean_x, mean_y = _window_means(x), _window_means(y)
    variance_x = _window_means(x * x) - mean_x * mean_x
    variance_y = _window_means(y * y) - mean_y * mean_y
    covariance = _window_means(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x.square() + mean_y.square() + C1)
    return luminance * (2 * covariance + C2) / (variance_x + variance_y + C2)


def _window_means(picture: Tensor) -> Tensor:
    weights = torch.exp(-0.5 * (torch.arange(-RADIUS_PX, RADIUS_PX + 1, dtype=picture.dtype) / SIGMA_PX) ** 2)
    weights = weights / weights.sum()
    return (picture.unfold(1, len(weights), 1) @ weights).unfold(2, len(weights), 1) @ weights


PSNR = Metric(name="psnr", unit="db", measure=_psnr)
SSIM = Metric(name="ssim", measure=_ssim)
UNALIGNED_PSNR = Metric(name="unaligned_psnr", unit="db", measure=_psnr)
"""PSNR of whole pictures where they lie, told beside that of aligned ones: papers often do not say which they give."""
