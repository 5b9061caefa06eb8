"""Aligns an image with its sharp twin before the two are compared, in the ways that the benchmarks prescribe.

- `align_by_homography`: RealBlur (Rim et al., ECCV 2020) and RSBlur (ECCV 2022), image_align of their evaluation:
  brightness matched, a homography by ECC on the grey pictures, bicubic warping, and a mask of valid pixels.
- `align_by_shift`: Levin et al. (CVPR 2009), comp_upto_shift.m: the shift by quarter pixels, up to five, with the least
  squared error, borders of 15 px left out.
- `align_by_whole_pixels`: Koehler et al. (ECCV 2012), eval_image.m: brightness matched, then the shift by whole pixels
  at the peak of the circular cross-correlation of the grey pictures, and a mask of valid pixels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from unblur.evaluation.ecc import find_homography, inside, project
from unblur.photos.color import luma

_BICUBIC_REACH_PX = 3
"""Beyond the picture: half a pixel of what still counts as inside, and two of the kernel."""


@dataclass(frozen=True, kw_only=True)
class Aligned:
    """Two pictures ready to be compared, (3, h, w) float64 sRGB."""

    picture: Tensor
    sharp: Tensor
    valid: Tensor
    """(h, w), True where there is something to compare; elsewhere both pictures are zero."""
    failed: bool = False
    """True if no alignment was found; the picture is then returned without a shift."""


def match_brightness(picture: Tensor, sharp: Tensor) -> Tensor:
    """Scale `picture` by the factor with the least squared error to `sharp`. A black picture is unchanged."""
    power = picture.square().sum()
    return picture * ((picture * sharp).sum() / power) if bool(power > 0) else picture


def align_by_homography(picture: Tensor, sharp: Tensor, *, clip: bool) -> Aligned:
    """Warp `picture`, (3, H, W) sRGB in [0, 1], onto `sharp`. `clip` limits it to [0, 1] (RSBlur does, RealBlur not).

    Where no homography is found the picture, its brightness matched, is compared where it lies: `failed` says so.
    """
    scaled, sharp = match_brightness(picture.double(), sharp.double()), sharp.double()
    homography = find_homography(luma(sharp), luma(scaled))
    if homography is None:
        warped, valid = scaled, torch.ones(sharp.shape[1:], dtype=torch.bool)
    else:
        x, y = project(homography, *sharp.shape[1:])
        valid = inside(x, y, scaled.shape).reshape(sharp.shape[1:])
        warped = _sample_bicubic(scaled, x, y).reshape(sharp.shape)
    if clip:
        warped = warped.clamp(0, 1)
    return Aligned(picture=warped * valid, sharp=sharp * valid, valid=valid, failed=homography is None)


def align_by_shift(picture: Tensor, sharp: Tensor, *, farthest_px: int, step_px: float, border_px: int) -> Aligned:
    """Cut both, (3, H, W) -> (3, H - 2 border, W - 2 border), at the shift of `picture` with the least squared error.

    Between pixels it is interpolated linearly. The pictures must be larger than two borders.
    """
    picture, sharp = picture.double(), sharp.double()
    reach = border_px - farthest_px
    cropped = sharp[:, border_px:-border_px, border_px:-border_px]
    # One pixel more than the farthest shift needs, so that each fraction has its right and lower neighbour.
    around = F.pad(picture[None], (0, 1, 0, 1), mode="replicate")[0]
    around = around[:, reach : picture.shape[1] - reach + 1, reach : picture.shape[2] - reach + 1]
    best, least = cropped, float("inf")
    shifts = [step * step_px for step in range(round(2 * farthest_px / step_px) + 1)]
    for down in shifts:
        for right in shifts:
            shifted = _cut(around, down, right, *cropped.shape[1:])
            if (error := float((shifted - cropped).square().sum())) < least:
                best, least = shifted, error
    return Aligned(picture=best, sharp=cropped, valid=torch.ones(cropped.shape[1:], dtype=torch.bool))


def align_by_whole_pixels(picture: Tensor, sharp: Tensor) -> Aligned:
    """Shift `picture`, (3, H, W), so that the mean of its channels correlates best with that of `sharp`."""
    scaled, sharp = match_brightness(picture.double(), sharp.double()), sharp.double()
    height, width = sharp.shape[1:]
    spectrum = torch.fft.rfft2(sharp.mean(0)) * torch.fft.rfft2(scaled.mean(0)).conj()
    peak = int(torch.fft.irfft2(spectrum, s=(height, width)).argmax())
    # Half a period and more is a shift the other way, as in the dftregistration.m that the authors use.
    down, right = (
        at - size if at >= size // 2 else at for at, size in ((peak // width, height), (peak % width, width))
    )
    rows, from_rows = _find_overlap(down, height)
    columns, from_columns = _find_overlap(right, width)
    shifted, valid = torch.zeros_like(sharp), torch.zeros((height, width), dtype=torch.bool)
    shifted[:, rows, columns] = scaled[:, from_rows, from_columns]
    valid[rows, columns] = True
    return Aligned(picture=shifted, sharp=sharp * valid, valid=valid)


def _find_overlap(shift: int, size: int) -> tuple[slice, slice]:
    """Return the slices of an axis that overlap when the image is shifted: its place and its part."""
    return slice(max(shift, 0), size + min(shift, 0)), slice(max(-shift, 0), size - max(shift, 0))


def _sample_bicubic(picture: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Sample (C, H, W) at N places -> (C, N) by Keys' kernel with a = -0.75, as OpenCV has it; edges are mirrored."""
    height, width = (length + 2 * _BICUBIC_REACH_PX for length in picture.shape[1:])
    rows, columns = (_make_mirror_indices(length, _BICUBIC_REACH_PX) for length in picture.shape[1:])
    padded = picture[:, rows][:, :, columns]
    grid = torch.stack(
        [2 * (x + _BICUBIC_REACH_PX) / (width - 1) - 1, 2 * (y + _BICUBIC_REACH_PX) / (height - 1) - 1], dim=-1
    )
    return F.grid_sample(padded[None], grid[None, None], mode="bicubic", align_corners=True)[0, :, 0]


def _make_mirror_indices(length: int, reach: int) -> Tensor:
    """Return the indices of a row extended by `reach` pixels at both ends, mirrored, the last pixel repeated."""
    place = torch.arange(-reach, length + reach) % (2 * length)
    return torch.minimum(place, 2 * length - 1 - place)


def _cut(around: Tensor, down: float, right: float, height: int, width: int) -> Tensor:
    top, left = int(down), int(right)
    lower, further = down - top, right - left
    window = around[:, top : top + height + 1, left : left + width + 1]
    rows = window[:, :-1] * (1 - lower) + window[:, 1:] * lower
    return rows[:, :, :-1] * (1 - further) + rows[:, :, 1:] * further
