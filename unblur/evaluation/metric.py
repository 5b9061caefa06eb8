"""What can be measured of a restored picture: one constant a column of the tables.

Against the sharp twin, a `Metric` looks at both as the protocol aligned them, over the pixels that count. Without it, a
`LoneMetric` looks at the whole picture as it is.

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
from unblur.metrics import brisque, ms_ssim, mssim, niqe, piqe, psnr, ssim, ssim_3d
from unblur.metrics.ssim import RADIUS_PX, similarity_maps
from unblur.photos.color import luma

When = Literal["before", "after"]
"""Of the blurry photograph or of the restored one."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that tells how near a picture is to its sharp twin."""

    name: str
    """In lower case, as the columns of the CSV have it."""
    unit: str = ""
    measure: Callable[[Aligned], float]
    """Raises UnblurError where it cannot, as of too small a picture."""
    less_is_better: bool = False

    def column(self, when: When) -> str:
        """The column of the CSV that holds it."""
        return f"{self.name}_{when}{f'_{self.unit}' if self.unit else ''}"


@dataclass(frozen=True, kw_only=True)
class LoneMetric:
    """A number that tells how good a picture looks, without its sharp twin."""

    name: str
    measure: Callable[[Tensor], float]
    """Of (3, H, W) sRGB in [0, 1]. Raises UnblurError where it cannot, as of too small a picture or a flat one."""

    def column(self, when: When) -> str:
        """The column of the CSV that holds it."""
        return f"{self.name}_{when}"


AnyMetric = Metric | LoneMetric


def _psnr(pictures: Aligned) -> float:
    if bool(pictures.seen.all()):
        return float(psnr(pictures.picture[None], pictures.sharp[None]))
    error = (pictures.picture - pictures.sharp).square().sum() / (3 * pictures.seen.sum())
    return float(-10 * torch.log10(error))


def _ssim(pictures: Aligned) -> float:
    if bool(pictures.seen.all()):
        return float(ssim(pictures.picture[None], pictures.sharp[None]))
    seen = pictures.seen[RADIUS_PX:-RADIUS_PX, RADIUS_PX:-RADIUS_PX]
    luminance, contrast_structure = similarity_maps(pictures.picture.double(), pictures.sharp.double())
    return float((luminance * contrast_structure * seen).sum(dim=(1, 2)).div(seen.sum()).mean())


def compared(measure: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Aligned], float]:
    """A measure of whole pictures; both are black where nothing was seen, and so alike."""
    return lambda pictures: float(measure(pictures.picture[None], pictures.sharp[None]))


def _looked_at(measure: Callable[[Tensor], Tensor]) -> Callable[[Tensor], float]:
    return lambda picture: float(measure(picture[None]))


def _luma_psnr(pictures: Aligned) -> float:
    return float(-10 * torch.log10((luma(pictures.picture) - luma(pictures.sharp)).square().mean()))


def _mssim(pictures: Aligned) -> float:
    return float(mssim(pictures.picture[None], pictures.sharp[None]))


PSNR = Metric(name="psnr", unit="db", measure=_psnr)
SSIM = Metric(name="ssim", measure=_ssim)
SSIM_3D = Metric(name="ssim_3d", measure=compared(ssim_3d))
"""MATLAB's, of whole pictures."""
MS_SSIM = Metric(name="ms_ssim", measure=compared(ms_ssim))
UNALIGNED_PSNR = Metric(name="unaligned_psnr", unit="db", measure=_psnr)
"""PSNR of whole pictures where they lie, told beside that of aligned ones: papers often do not say which they give."""
LUMA_PSNR = Metric(name="psnr", unit="db", measure=_luma_psnr)
"""Koehler's: of the luma alone, over all pixels; where nothing was seen both pictures are zero and equal."""
MSSIM = Metric(name="mssim", measure=_mssim)
"""Koehler's: MeTriX MuX's form of MS-SSIM, of the luma."""

NIQE = LoneMetric(name="niqe", measure=_looked_at(niqe))
BRISQUE = LoneMetric(name="brisque", measure=_looked_at(brisque))
PIQE = LoneMetric(name="piqe", measure=_looked_at(piqe))
