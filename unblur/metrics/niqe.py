"""NIQE: how far the statistics of an image lie from those of 125 pristine photographs, without a reference.

Source: Mittal, Soundararajan, Bovik, "Making a 'Completely Blind' Image Quality Analyzer", IEEE Signal Processing
Letters 20(3), 2013, with the model that its authors released (parameters/niqe.npz; see parameters/README.md).
Convention of the restoration tables (BasicSR, pyiqa): the Y of MATLAB's YCbCr, rounded, where the authors' release
takes a gray image; blocks of 96 x 96 from the top left corner, the rest cropped; two scales. A block that is flat has
no statistics and is left out of what it lacks, as the release's nanmean and nancov do.

It was made for blocks of natural texture: invented detail pleases it, and two images of unlike size or content are
hard to compare. Report it beside a full-reference measure.
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unblur.errors import UnblurError
from unblur.metrics.checks import check_alone
from unblur.metrics.natural_scenes import (
    compute_asymmetric_mean,
    compute_scale,
    fit_asymmetric_gaussian,
    halve,
    multiply_neighbours,
    normalise_luminance,
    to_luma_levels,
)

BLOCK_PX = 96


def niqe(image: Tensor) -> Tensor:
    """Distance per image, 0 and up, lower is better; about 3 for a good photograph. (B, 3, H, W) -> (B,).

    Values are RGB in [0, 1], which are read as 8-bit levels. Raises UnblurError for other shapes, NaN, images that
    hold fewer than two blocks of 96 x 96 pixels, and images with fewer than two blocks that are not flat.
    """
    check_alone(image, metric="NIQE", smallest_px=BLOCK_PX)
    rows, columns = (side // BLOCK_PX for side in image.shape[2:])
    if rows * columns < 2:
        raise UnblurError(
            f"NIQE needs two blocks of {BLOCK_PX} x {BLOCK_PX} pixels at least, which an image of "
            f"{image.shape[3]} x {image.shape[2]} does not hold; give a larger one."
        )
    levels = to_luma_levels(image)[:, : rows * BLOCK_PX, : columns * BLOCK_PX]
    fine = _compute_features(levels, BLOCK_PX)
    coarse = _compute_features(halve(levels), BLOCK_PX // 2)
    features = torch.cat([fine, coarse], dim=2)
    return torch.stack([_compute_distance(blocks) for blocks in features]).to(image.dtype)


def _compute_features(levels: Tensor, block_px: int) -> Tensor:
    """The 18 numbers of every block: (B, H, W) -> (B, blocks, 18)."""
    normalised = normalise_luminance(levels, border="replicate")
    blocks = normalised.unfold(1, block_px, block_px).unfold(2, block_px, block_px).reshape(-1, block_px, block_px)
    shape, left, right = fit_asymmetric_gaussian(blocks)
    features = [shape, (compute_scale(shape, left) + compute_scale(shape, right)) / 2]
    for product in multiply_neighbours(blocks):
        shape, left, right = fit_asymmetric_gaussian(product)
        left, right = compute_scale(shape, left), compute_scale(shape, right)
        features += [shape, compute_asymmetric_mean(shape, left, right), left, right]
    return torch.stack(features, dim=1).reshape(len(levels), -1, len(features))


def _compute_distance(blocks: Tensor) -> Tensor:
    """Equation 10 of the paper, for the (blocks, 36) features of one image."""
    whole = blocks[~blocks.isnan().any(dim=1)]
    if len(whole) < 2:
        raise UnblurError(
            f"NIQE found {len(whole)} of {len(blocks)} blocks with any texture and needs two; "
            "it cannot measure flat images."
        )
    pristine_mean, pristine_covariance = (part.to(blocks.device) for part in _read_pristine_model())
    offset = pristine_mean - blocks.nanmean(dim=0)
    inverse = torch.linalg.pinv((pristine_covariance + torch.cov(whole.T)) / 2)
    squared: Tensor = offset @ inverse @ offset
    return squared.sqrt()


@cache
def _read_pristine_model() -> tuple[Tensor, Tensor]:
    with np.load(Path(__file__).parent / "parameters" / "niqe.npz") as file:
        return torch.from_numpy(file["mean"]), torch.from_numpy(file["covariance"])
