"""A U-Net of 3x3 convolutions and ReLU alone, which processors compute near their peak."""

from dataclasses import dataclass
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.padding import padded_to_multiple


@dataclass(frozen=True, kw_only=True)
class PlainUNetConfig:
    """Sizes of a PlainUNet."""

    channels: tuple[int, ...] = (48, 96, 192, 384)
    """At each level, finest first; level l has stride `stem_stride * 2**l`."""
    convolutions: int = 2
    """At each level and side."""
    stem_stride: int = 2
    """Side of the pixel square that the first layer folds into channels."""

    def __post_init__(self) -> None:
        if len(self.channels) < 2 or min(self.channels) < 1 or self.convolutions < 1 or self.stem_stride < 1:
            raise ValueError(f"a PlainUNet needs two levels at least, channels and convolutions: {self}")


class PlainUNet(nn.Module):
    """Blurry photograph in, restored photograph out. Shape: (B, 3, H, W) RGB in [0, 1] -> same, any H and W."""

    def __init__(self, config: PlainUNetConfig) -> None:
        super().__init__()
        self.config = config
        pixels = 3 * config.stem_stride**2
        self.intro = nn.Conv2d(pixels, config.channels[0], 3, padding=1)
        self.ending = nn.Conv2d(config.channels[0], pixels, 3, padding=1)
        nn.init.zeros_(self.ending.weight)
        nn.init.zeros_(cast(Tensor, self.ending.bias))

    def forward(self, blurry: Tensor) -> Tensor:
        height, width = blurry.shape[2:]
        whole = padded_to_multiple(blurry, self.config.stem_stride)
        correction = F.pixel_shuffle(self.ending(self.intro(F.pixel_unshuffle(whole, self.config.stem_stride))), 2)
        return blurry + correction[..., :height, :width].to(blurry.dtype)
