"""A window of a photograph as networks see it, and their answer as a photograph's values again."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unblur.restoration.blend import full_scale


def to_float(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """(h, w, C) of any depth -> the same in float32 in [0, 1]."""
    values = pixels.astype(np.float32)
    values /= full_scale(pixels.dtype)
    return values


def to_tensor(values: NDArray[np.float32], device: torch.device) -> Tensor:
    """(h, w, 1 or 3) in [0, 1] -> (1, 3, h, w); grey becomes a colour."""
    blurry = torch.from_numpy(values).to(device).permute(2, 0, 1)[None]
    return blurry.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def to_channels(restored: Tensor, channels: int) -> Tensor:
    """(1, 3, h, w) -> (1, `channels`, h, w); a grey photograph's are the mean of the colours."""
    return restored.mean(dim=1, keepdim=True) if channels == 1 else restored


def to_array(planes: Tensor) -> NDArray[np.float32]:
    """(1, C, h, w) -> (h, w, C)."""
    values: NDArray[np.float32] = planes[0].permute(1, 2, 0).cpu().numpy()
    return values
