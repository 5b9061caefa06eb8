"""PIQE: the share of distorted blocks among those with structure, without a reference or training.

Source: Venkatanath, Praneeth, Maruthi Chandrasekhar, Channappayya, Medasani, "Blind image quality evaluation using
perception based features", National Conference on Communications (NCC), 2015. The paper leaves details open; they are
those of MATLAB's `piqe`, as the package pypiqe 1.2 (MIT) retells it: the gray image is padded by mirroring to whole
blocks of 16 x 16 and stretched so that its maximum is 255; statistics are NIQE's local normalisation.

Two of them look like slips and are reproduced, because the numbers depend on them: the columns of a block's "surround"
are all but the 8th and the 10th (its centre being the 8th and 9th), and a noisy block is one whose deviation exceeds
twice its relative difference from centre to surround.
"""

import torch
from torch import Tensor

from unblur.metrics.checks import check_alone
from unblur.metrics.natural_scenes import normalise_luminance, to_gray_levels

BLOCK_PX = 16
SEGMENT_PX = 6
ACTIVE_VARIANCE = 0.1
FLAT_SEGMENT_DEVIATION = 0.1
STABILITY = 1
"""The paper's T_U, T_STD and C_1."""


def piqe(image: Tensor) -> Tensor:
    """Distortion per image, 0 to 100, lower is better; 100 for a flat image. (B, 3, H, W) -> (B,).

    Values are RGB in [0, 1], which are read as 8-bit levels. Raises UnblurError for other shapes, NaN, and sides below
    16 pixels.
    """
    check_alone(image, metric="PIQE", smallest_px=BLOCK_PX)
    levels = _pad_to_blocks(to_gray_levels(image))
    brightest = levels.amax(dim=(1, 2), keepdim=True).clamp(min=1)
    normalised = normalise_luminance((255 * (levels / brightest)).round(), border="replicate")
    blocks = normalised.unfold(1, BLOCK_PX, BLOCK_PX).unfold(2, BLOCK_PX, BLOCK_PX)
    variance = blocks.flatten(3).var(dim=3)
    active = variance > ACTIVE_VARIANCE
    distortion = _has_flat_edge(blocks) * (1 - variance) + _is_noisy(blocks, variance) * variance
    distorted = torch.where(active, distortion, 0).sum(dim=(1, 2))
    return (100 * (distorted + STABILITY) / (active.sum(dim=(1, 2)) + STABILITY)).to(image.dtype)


def _pad_to_blocks(levels: Tensor) -> Tensor:
    """Mirrored at the right and the bottom, the edge included, to whole blocks."""
    for axis in (1, 2):
        missing = -levels.shape[axis] % BLOCK_PX
        mirrored = levels.flip(axis).narrow(axis, 0, missing)
        levels = torch.cat([levels, mirrored], dim=axis)
    return levels


def _has_flat_edge(blocks: Tensor) -> Tensor:
    """Whether any six pixels in a row on any side of the block hardly differ."""
    sides = torch.stack([blocks[..., 0, :], blocks[..., -1, :], blocks[..., :, 0], blocks[..., :, -1]], dim=-2)
    return (sides.unfold(-1, SEGMENT_PX, 1).std(dim=-1) < FLAT_SEGMENT_DEVIATION).flatten(3).any(dim=3)


def _is_noisy(blocks: Tensor, variance: Tensor) -> Tensor:
    centre = blocks[..., 7:9].flatten(3).std(dim=3)
    surround_columns = [column for column in range(BLOCK_PX) if column not in (7, 9)]
    surround = blocks[..., surround_columns].flatten(3).std(dim=3)
    ratio = (centre / surround).nan_to_num(nan=0)
    deviation = variance.sqrt()
    return deviation > 2 * (deviation - ratio).abs() / torch.maximum(deviation, ratio)
