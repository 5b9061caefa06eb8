"""Weights in 8 bits: whole numbers from -127 to 127, and a scale for each output channel.

A file takes half the space of one in float16. A weight changes by at most 1/254 of the largest one of its channel.
Source: symmetric quantisation for each channel (Krishnamoorthi 2018, "Quantizing deep convolutional networks for
efficient inference", arXiv 1806.08342), here for storing alone; networks compute in the precision of always.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

SCALE = ".scale"
"""Ending of the names of scales, after the name of their weights."""

LARGEST = 127


def to_eight_bits(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Store tensors of two dimensions and more as int8 with float32 scales, and all others as float16."""
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.ndim < 2:
            stored[name] = tensor.half().contiguous()
            continue
        scale = tensor.flatten(1).abs().amax(dim=1).float().clamp(min=1e-12) / LARGEST
        stored[name] = (tensor / _expand_scale(scale, tensor)).round().to(torch.int8).contiguous()
        stored[name + SCALE] = scale
    return stored


def from_eight_bits(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo `to_eight_bits`: float32 in the place of int8. Other tensors stay as they are.

    Raises KeyError where a scale is missing, and RuntimeError where it does not fit.
    """
    scales = {name + SCALE for name, tensor in stored.items() if tensor.dtype == torch.int8}
    return {
        name: tensor.float() * _expand_scale(stored[name + SCALE], tensor) if tensor.dtype == torch.int8 else tensor
        for name, tensor in stored.items()
        if name not in scales
    }


def _expand_scale(scale: Tensor, tensor: Tensor) -> Tensor:
    """Return the scales, (channels,), with as many dimensions as the tensor."""
    return scale.view(-1, *[1] * (tensor.ndim - 1))
