"""Structural similarity over five scales as in the MeTriX MuX package, which Koehler's benchmark uses.

Source: mssim_index.m of MeTriX MuX (Gaubatz and Rouse, Cornell University, 2007), which Koehler et al. score with
("Recording and playback of camera shake", ECCV 2012). It differs from `ms_ssim` in three ways: a scale is made of the
one before by the low-pass filter of the 9/7 wavelet (its numbers: JPEG 2000, ISO/IEC 15444-1) and taking every other
pixel; contrast and structure are averaged each on its own; and it uses the luma alone.
"""

import torch
from torch import Tensor

from unblur.metrics.checks import check_pair
from unblur.metrics.ms_ssim import EXPONENTS
from unblur.metrics.ssim import SMALLEST_PX, compute_similarity_terms
from unblur.metrics.windows import compute_window_means
from unblur.photos.color import luma

_HALF_FILTER = (0.602949018236, 0.266864118443, -0.078223266529, -0.016864118443, 0.026748757411)
"""Half of the filter from the middle outwards; the whole filter of nine taps sums to 1."""


def mssim(restored: Tensor, sharp: Tensor) -> Tensor:
    """Similarity per image, at most 1: higher is better, 1 for equal images. (B, 3, H, W) twice -> (B,).

    Values are RGB in [0, 1]. Raises UnblurError if the shapes differ or are not these, a side is below 176 pixels (one
    window at the coarsest scale) or an image holds NaN.
    """
    check_pair(restored, sharp, metric="MSSIM", smallest_px=SMALLEST_PX * 2 ** (len(EXPONENTS) - 1))
    x, y = luma(restored.double()), luma(sharp.double())
    similarity = torch.ones(len(x), dtype=x.dtype, device=x.device)
    for scale, exponent in enumerate(EXPONENTS, start=1):
        luminance, contrast, structure = (term.mean(dim=(1, 2)) for term in compute_similarity_terms(x, y))
        coarsest = scale == len(EXPONENTS)
        term = luminance * contrast * structure if coarsest else contrast * structure
        # A mean below zero has a complex power; the benchmark takes its magnitude.
        similarity = similarity * term.abs() ** exponent
        x, y = _halve(x), _halve(y)
    return similarity.to(restored.dtype)


def _halve(image: Tensor) -> Tensor:
    weights = torch.tensor((*_HALF_FILTER[:0:-1], *_HALF_FILTER), dtype=image.dtype, device=image.device)
    reach = len(_HALF_FILTER) - 1
    for axis in (1, 2):
        before, after = image.narrow(axis, 0, reach), image.narrow(axis, image.shape[axis] - reach, reach)
        image = torch.cat([before.flip(axis), image, after.flip(axis)], dim=axis)
    return compute_window_means(image, weights)[..., ::2, ::2]
