"""What every data set yields."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A blurry photograph and its sharp twin, (3, H, W) sRGB in [0, 1]."""

    blurry: Tensor
    sharp: Tensor
    name: str
