"""Structural similarity over five scales.

Source: Wang, Simoncelli, Bovik, "Multiscale structural similarity for image quality assessment", Asilomar Conference
on Signals, Systems and Computers, 2003, equation 7, with the exponents of its section 3.2 (0.0448 to 0.1333).
Convention of the authors' msssim.m: windows as in `ssim`, the mean contrast-structure term of the four finer scales
and the mean SSIM of the coarsest one, each to its exponent; a scale is made of the one before by means of 2 x 2 pixels,
where an odd last row or column counts twice. Here each RGB channel is measured on its own and the mean taken over the
three, as pytorch-msssim does; a mean below zero, of which no power exists, counts as zero, as there.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from unblur.metrics.checks import check_pair
from unblur.metrics.ssim import SMALLEST_PX, compute_similarity_maps

EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, finest first."""


def ms_ssim(restored: Tensor, sharp: Tensor) -> Tensor:
    """Similarity per image in [0, 1]: higher is better, 1 for equal images. (B, 3, H, W) twice -> (B,).

    Values are RGB in [0, 1]. Raises UnblurError if the shapes differ or are not these, a side is below 176 pixels (one
    window at the coarsest scale) or an image holds NaN.
    """
    smallest_px = SMALLEST_PX * 2 ** (len(EXPONENTS) - 1)
    check_pair(restored, sharp, metric="MS-SSIM", smallest_px=smallest_px)
    x, y = restored.double(), sharp.double()
    similarity = torch.ones(x.shape[:2], dtype=x.dtype, device=x.device)
    for scale, exponent in enumerate(EXPONENTS, start=1):
        luminance, contrast_structure = compute_similarity_maps(x, y)
        term = contrast_structure if scale < len(EXPONENTS) else luminance * contrast_structure
        similarity = similarity * term.mean(dim=(2, 3)).clamp(min=0) ** exponent
        x, y = _halve(x), _halve(y)
    return similarity.mean(dim=1).to(restored.dtype)


def _halve(image: Tensor) -> Tensor:
    height, width = image.shape[2:]
    return F.avg_pool2d(F.pad(image, (0, width % 2, 0, height % 2), mode="replicate"), 2)
