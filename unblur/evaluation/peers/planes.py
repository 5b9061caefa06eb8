"""Converts between the pixels of a method and the tensors of networks."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_planes(pixels: NDArray[Any]) -> Tensor:
    """Convert (H, W, 3) uint8 -> (1, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None] / 255


def to_pixels(planes: Tensor) -> NDArray[Any]:
    """Convert (1, 3, H, W) in [0, 1] -> (H, W, 3) uint8, limited and rounded."""
    eight_bits = (planes[0] * 255).round().clamp(0, 255).byte()
    return eight_bits.permute(1, 2, 0).contiguous().cpu().numpy()
