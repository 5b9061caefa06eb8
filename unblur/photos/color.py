"""Converts between the numbers in a file (sRGB) and the light that made them (linear).

The transfer function is IEC 61966-2-1. Light adds up in the linear domain, so blur is always simulated there.
"""

import torch
from torch import Tensor

_BT601 = (0.299, 0.587, 0.114)
_BT709 = (0.2126, 0.7152, 0.0722)


def srgb_to_linear(srgb: Tensor) -> Tensor:
    """Convert sRGB values in [0, 1] to linear light in [0, 1]. Any shape."""
    return torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb.clamp(min=0.0) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: Tensor) -> Tensor:
    """Convert linear light in [0, 1] to sRGB values in [0, 1]. Any shape; inverse of `srgb_to_linear`."""
    curved = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, linear * 12.92, curved)


def luma(picture: Tensor) -> Tensor:
    """Compute luma by ITU-R BT.601: (..., 3, H, W) sRGB -> (..., H, W)."""
    return torch.einsum("...chw,c->...hw", picture, picture.new_tensor(_BT601))


def luminance(light: Tensor) -> Tensor:
    """Compute luminance by ITU-R BT.709: (..., 3, H, W) linear light -> (..., H, W)."""
    return torch.einsum("...chw,c->...hw", light, light.new_tensor(_BT709))
