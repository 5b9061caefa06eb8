"""The motion estimator: predicts the path of every position during the exposure from a blurry image.

One idea: an encoder of NAF blocks, which ends early because paths change slowly over a photograph. Their gates multiply
and their normalisation divides: the direction of blur is visible in the ratio of contrasts along and across it, which a
network of plain convolutions of this size had not learned after two thousand steps.

Sources: GLOWDeblur (arXiv 2601.06525) names a "lightweight" estimator of trajectories and draws a U shape;
Motion-ETR (Zhang et al. 2021) gives its scale: space-to-depth 2, a start and an end offset for each place, 1.1 M
parameters. Differences from Motion-ETR: NAF blocks (Chen et al. 2022, arXiv 2204.04676) instead of 5x5 convolutions,
one more stride, output at every 8th pixel instead of at each, and paths without direction (see
`unblur.blur.undirected`), so that each photograph has one target.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.nafnet import NAFBlock
from unblur.models.padding import pad_to_multiple

OUTPUT_STRIDE_PX = 8
"""Pixels between neighbouring paths."""

UNIT_PX = 10.0
"""Pixels for each unit inside the network, because training is easiest with values around 1."""

FIRST_SHARE = 0.5
"""Initial weight of a block's output. NAFNet begins with 0, for a network whose input is close to its target."""

STRIDES_PX = (2, 4, 8, 16)


@dataclass(frozen=True, kw_only=True)
class MotionEstimatorConfig:
    """Sizes of a motion estimator."""

    channels: tuple[int, int, int, int] = (24, 48, 96, 160)
    """Channels at strides 2, 4, 8 and 16."""
    blocks: tuple[int, int, int, int] = (1, 2, 3, 3)
    """Blocks at the same strides."""


class MotionEstimator(nn.Module):
    """Estimator of undirected paths in a blurry photograph.

    Shape: (B, 3, H, W) RGB in [0, 1] -> (B, 4, H/8, W/8), at least 1. Channels are those of `to_undirected`, in pixels;
    path (i, j) belongs to the centre of its square of 8 x 8 pixels.
    """

    def __init__(self, config: MotionEstimatorConfig) -> None:
        super().__init__()
        self.config = config
        self.intro = nn.Conv2d(12, config.channels[0], 3, padding=1)
        self.encoders = nn.ModuleList(
            nn.Sequential(*(NAFBlock(channels, stride) for _ in range(blocks)))
            for channels, blocks, stride in zip(config.channels, config.blocks, STRIDES_PX, strict=True)
        )
        self.downs = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairwise(config.channels))
        self.up = nn.Conv2d(config.channels[3], config.channels[2], 1)
        self.decoder = NAFBlock(config.channels[2], OUTPUT_STRIDE_PX)
        self.ending = nn.Conv2d(config.channels[2], 4, 3, padding=1)
        for module in self.modules():
            if isinstance(module, NAFBlock):
                nn.init.constant_(module.beta, FIRST_SHARE)
                nn.init.constant_(module.gamma, FIRST_SHARE)
        nn.init.zeros_(self.ending.weight)
        nn.init.zeros_(cast(Tensor, self.ending.bias))

    def forward(self, blurry: Tensor) -> Tensor:
        height, width = blurry.shape[2:]
        x = self.intro(F.pixel_unshuffle(pad_to_multiple(blurry, 16) - 0.5, 2))
        features = []
        for encoder, down in zip(self.encoders, self.downs, strict=False):
            x = encoder(x)
            features.append(x)
            x = down(x)
        x = self.up(self.encoders[3](x))
        x = self.decoder(features[2] + F.interpolate(x, scale_factor=2.0, mode="nearest"))
        path: Tensor = self.ending(x).float() * UNIT_PX
        rows, columns = (max(1, side // OUTPUT_STRIDE_PX) for side in (height, width))
        return path[..., :rows, :columns]
