"""The motion estimator: a blurry photograph in, the path of every place during the exposure out.

One idea: an hourglass of plain 3x3 convolutions that ends early, because paths change slowly over a photograph.

Sources: GLOWDeblur (arXiv 2601.06525) names a "lightweight" estimator of trajectories and draws an hourglass;
Motion-ETR (Zhang et al. 2021) gives its scale: space-to-depth 2, three strides, a start and an end offset for each
place, 1.1 M parameters. Differences from Motion-ETR: 3x3 instead of 5x5 convolutions, one more stride, output at every
8th pixel instead of at each, and paths without direction (see `unblur.blur.undirected`), so that learning never has to
choose between two equally good answers.
"""

from dataclasses import dataclass
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.padding import padded_to_multiple

OUTPUT_STRIDE_PX = 8
"""Pixels between neighbouring paths."""

UNIT_PX = 10.0
"""Pixels that 1 stands for inside the network: training is easiest around 1."""


@dataclass(frozen=True, kw_only=True)
class MotionEstimatorConfig:
    """Sizes of a motion estimator."""

    channels: tuple[int, int, int, int] = (32, 64, 96, 112)
    """At strides 2, 4, 8 and 16."""
    blocks: int = 2
    """Residual blocks at each stride, on the way down."""


LEAK = 0.1
"""Slope of the activations below zero. With none, early steps can silence every channel before the last convolution."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions after a leaky ReLU each, added to their input. Shape: (B, C, H, W) -> same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        # Begins as the identity: no normalisation is needed.
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(cast(Tensor, self.second.bias))

    def forward(self, x: Tensor) -> Tensor:
        correction: Tensor = self.second(F.leaky_relu(self.first(F.leaky_relu(x, LEAK)), LEAK))
        return x + correction


class MotionEstimator(nn.Module):
    """Undirected paths of a blurry photograph. Shape: (B, 3, H, W) RGB in [0, 1] -> (B, 4, H/8, W/8), at least 1.

    Channels are those of `undirected`, in pixels; path (i, j) belongs to the middle of its square of 8 x 8 pixels.
    """

    def __init__(self, config: MotionEstimatorConfig) -> None:
        super().__init__()
        self.config = config
        at_2, at_4, at_8, at_16 = config.channels
        self.intro = nn.Conv2d(12, at_2, 3, padding=1)
        self.at_2 = _blocks(at_2, config.blocks)
        self.down_4 = nn.Conv2d(at_2, at_4, 2, stride=2)
        self.at_4 = _blocks(at_4, config.blocks)
        self.down_8 = nn.Conv2d(at_4, at_8, 2, stride=2)
        self.at_8 = _blocks(at_8, config.blocks)
        self.down_16 = nn.Conv2d(at_8, at_16, 2, stride=2)
        self.at_16 = _blocks(at_16, config.blocks)
        self.up_8 = nn.Conv2d(at_16, at_8, 1)
        self.joined_8 = _blocks(at_8, 1)
        self.ending = nn.Conv2d(at_8, 4, 3, padding=1)
        nn.init.zeros_(self.ending.weight)
        nn.init.zeros_(cast(Tensor, self.ending.bias))

    def forward(self, blurry: Tensor) -> Tensor:
        height, width = blurry.shape[2:]
        padded = padded_to_multiple(blurry, 16)
        x = self.at_2(self.intro(F.pixel_unshuffle(padded - 0.5, 2)))
        skip = self.at_8(self.down_8(self.at_4(self.down_4(x))))
        x = self.at_16(self.down_16(skip))
        x = self.joined_8(skip + F.interpolate(self.up_8(x), scale_factor=2.0, mode="nearest"))
        path: Tensor = self.ending(F.leaky_relu(x, LEAK)).float() * UNIT_PX
        rows, columns = (max(1, side // OUTPUT_STRIDE_PX) for side in (height, width))
        return path[..., :rows, :columns]


def _blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(count)))
