"""Converts between the numbers in a file (sRGB) and the light that made them (linear).

The transfer function is IEC 61966-2-1. Light adds up in the linear domain, so blur is always simulated there.
"""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
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


def encode_16_bits(linear: NDArray[np.uint16]) -> None:
    """Convert linear light to sRGB values, both uint16, in place and rounded once. Any shape, rows first."""
    _replace(linear, _encoded_16_bits())


def decode_16_bits(srgb: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Convert sRGB values to linear light, both uint16, rounded once. Any shape, rows first.

    Of `encode_16_bits`, it is the inverse up to 1, which is a quarter of the step of a sensor with 14 bits.
    """
    linear = srgb.copy()
    _replace(linear, _decoded_16_bits())
    return linear


def _replace(values: NDArray[np.uint16], table: NDArray[np.uint16]) -> None:
    # Row by row: the indices of a large photograph would take as much memory as the photograph.
    for row in values:
        row[...] = table[row]


@lru_cache(maxsize=1)
def _encoded_16_bits() -> NDArray[np.uint16]:
    return _round_to_16_bits(linear_to_srgb(torch.arange(65536, dtype=torch.float64) / 65535))


@lru_cache(maxsize=1)
def _decoded_16_bits() -> NDArray[np.uint16]:
    return _round_to_16_bits(srgb_to_linear(torch.arange(65536, dtype=torch.float64) / 65535))


def _round_to_16_bits(values: Tensor) -> NDArray[np.uint16]:
    rounded: NDArray[np.uint16] = np.rint(65535 * values.numpy()).astype(np.uint16)
    return rounded
