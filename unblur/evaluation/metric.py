"""Metrics of restored images: one constant for each column of the tables.

A `FullReferenceMetric` compares an image with the sharp one over the valid pixels of the protocol's alignment. A
`NoReferenceMetric` measures the whole image alone.

Masked PSNR and SSIM are those of RealBlur's evaluation (Rim et al., ECCV 2020): both images are zero outside the valid
mask; the squared error is divided by the number of valid values; the map of SSIM, without the border where windows
would be cut, is averaged over the valid pixels of each channel, then over channels. Where all pixels are valid they are
`unblur.metrics.psnr` and `unblur.metrics.ssim`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from unblur.evaluation.alignment import Aligned
from unblur.metrics import brisque, ms_ssim, mssim, niqe, piqe, psnr, ssim, ssim_3d
from unblur.metrics.ssim import RADIUS_PX, compute_similarity_maps
from unblur.photos.color import luma

When = Literal["before", "after"]
"""Whether the blurry image is measured or the restored one."""


@dataclass(frozen=True, kw_only=True)
class FullReferenceMetric:
    """A metric of the distance between an image and its sharp reference."""

    name: str
    """The name in the columns of the CSV, in lower case."""
    unit: str = ""
    measure: Callable[[Aligned], float]
    """Computes the metric. Raises UnblurError if it cannot, for example for an image that is too small."""
    lower_is_better: bool = False

    def column(self, when: When) -> str:
        """Return the column of the CSV that holds the metric."""
        return f"{self.name}_{when}{f'_{self.unit}' if self.unit else ''}"


@dataclass(frozen=True, kw_only=True)
class NoReferenceMetric:
    """A metric of the quality of an image without a reference."""

    name: str
    measure: Callable[[Tensor], float]
    """Computes the metric of (3, H, W) sRGB in [0, 1]. Raises UnblurError for images that are too small or flat."""

    def column(self, when: When) -> str:
        """Return the column of the CSV that holds the metric."""
        return f"{self.name}_{when}"


Metric = FullReferenceMetric | NoReferenceMetric


def _psnr(pictures: Aligned) -> float:
    if bool(pictures.valid.all()):
        return float(psnr(pictures.picture[None], pictures.sharp[None]))
    error = (pictures.picture - pictures.sharp).square().sum() / (3 * pictures.valid.sum())
    return float(-10 * torch.log10(error))


def _ssim(pictures: Aligned) -> float:
    if bool(pictures.valid.all()):
        return float(ssim(pictures.picture[None], pictures.sharp[None]))
    valid = pictures.valid[RADIUS_PX:-RADIUS_PX, RADIUS_PX:-RADIUS_PX]
    luminance, contrast_structure = compute_similarity_maps(pictures.picture.double(), pictures.sharp.double())
    return float((luminance * contrast_structure * valid).sum(dim=(1, 2)).div(valid.sum()).mean())


def full_reference(measure: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Aligned], float]:
    """Adapt a metric of whole images; both are black, and so equal, outside the valid mask."""
    return lambda pictures: float(measure(pictures.picture[None], pictures.sharp[None]))


def no_reference(measure: Callable[[Tensor], Tensor]) -> Callable[[Tensor], float]:
    """Adapt a metric of batches to one image."""
    return lambda picture: float(measure(picture[None]))


def _luma_psnr(pictures: Aligned) -> float:
    return float(-10 * torch.log10((luma(pictures.picture) - luma(pictures.sharp)).square().mean()))


def _mssim(pictures: Aligned) -> float:
    return float(mssim(pictures.picture[None], pictures.sharp[None]))


PSNR = FullReferenceMetric(name="psnr", unit="db", measure=_psnr)
SSIM = FullReferenceMetric(name="ssim", measure=_ssim)
SSIM_3D = FullReferenceMetric(name="ssim_3d", measure=full_reference(ssim_3d))
"""MATLAB's SSIM of volumes, of whole images."""
MS_SSIM = FullReferenceMetric(name="ms_ssim", measure=full_reference(ms_ssim))
UNALIGNED_PSNR = FullReferenceMetric(name="unaligned_psnr", unit="db", measure=_psnr)
"""PSNR without alignment, reported next to the aligned one because papers often do not state which they report."""
LUMA_PSNR = FullReferenceMetric(name="psnr", unit="db", measure=_luma_psnr)
"""Koehler's PSNR of the luma over all pixels; both images are zero outside the valid mask."""
MSSIM = FullReferenceMetric(name="mssim", measure=_mssim)
"""Koehler's: MeTriX MuX's form of MS-SSIM, of the luma."""

NIQE = NoReferenceMetric(name="niqe", measure=no_reference(niqe))
BRISQUE = NoReferenceMetric(name="brisque", measure=no_reference(brisque))
PIQE = NoReferenceMetric(name="piqe", measure=no_reference(piqe))
