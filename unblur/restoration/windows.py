"""Conversion of a window of a photograph to the input of a network, and of its output to the photograph's values."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unblur.restoration.blend import full_scale


def to_float(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Convert (h, w, C) of any depth to float32 in [0, 1], same shape."""
    values = pixels.astype(np.float32)
    values /= full_scale(pixels.dtype)
    return values


def to_tensor(values: NDArray[np.float32], device: torch.device) -> Tensor:
    """Convert (h, w, 1 or 3) in [0, 1] -> (1, 3, h, w); grey becomes a colour."""
    blurry = torch.from_numpy(values).to(device).permute(2, 0, 1)[None]
    return blurry.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def to_channels(restored: Tensor, channels: int) -> Tensor:
    """Convert (1, 3, h, w) -> (1, `channels`, h, w); grey is the mean of the colours."""
    return restored.mean(dim=1, keepdim=True) if channels == 1 else restored


def to_array(planes: Tensor) -> NDArray[np.float32]:
    """Convert (1, C, h, w) -> (h, w, C)."""
    values: NDArray[np.float32] = planes[0].permute(1, 2, 0).cpu().numpy()
    return values
