"""Conversion of restored values to a photograph's own numbers, at a chosen strength."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError


def check_strength(strength: float) -> None:
    """Raise UnblurError unless `strength` is a number in [0, 1]; NaN is not."""
    if not 0 <= strength <= 1:
        raise UnblurError(f"A strength of {strength} is out of range; use 0 (keep the photograph) to 1 (full effect).")


def full_scale(dtype: np.dtype[Any]) -> int:
    """Return the value of white: 255, 65535, or 1 for floating point."""
    return int(np.iinfo(dtype).max) if dtype.kind == "u" else 1


def apply_strength(pixels: NDArray[Any], restored: NDArray[np.float32], strength: float) -> NDArray[Any]:
    """Return `pixels + strength * (restored - pixels)`, clipped, and rounded for integers, in the dtype of `pixels`.

    Shape: (H, W, C) both. `restored` is in [0, 1] and `pixels` in 0..full scale.
    """
    white = full_scale(pixels.dtype)
    # Float64 only where float32 would lose the last bit; both are exact for the integers of a photograph.
    wide = pixels.astype(np.float64 if pixels.dtype == np.float64 else np.float32)
    result: NDArray[Any] = np.clip(restored, 0, 1).astype(wide.dtype, copy=False)
    result *= white
    result -= wide
    result *= strength
    result += wide
    if pixels.dtype.kind == "u":
        np.rint(result, out=result)
    return result.astype(pixels.dtype)
