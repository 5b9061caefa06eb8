"""Sizes made to fit a network's strides."""

import torch.nn.functional as F
from torch import Tensor


def padded_to_multiple(x: Tensor, of: int) -> Tensor:
    """`x` with its last row and column repeated until both sides are multiples of `of`. Shape: (B, C, H, W)."""
    height, width = x.shape[2:]
    return F.pad(x, (0, -width % of, 0, -height % of), mode="replicate")
