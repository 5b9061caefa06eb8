"""One restoring network at several sizes of the photograph, coarse to fine.

One idea: halving a photograph halves its blur. What is too long for the network at full size it may know well at half
or a quarter of it, for a fraction of the time. From the smallest size up, the network restores, told beside the
photograph what came up from the next smaller size; then a small network looks at the photograph, at what was restored
of it at its own size and at what came up, chooses between these two at every place, and corrects.

Coarse to fine with the same weights at every size, and the smaller size's answer as an input: SRN (Tao et al. 2018,
arXiv 1802.01770). Ours: that the restoring network was trained before, at one size, that what it is told is added to
its first features and begins at zero, and the choice, which is learnt first, before both learn together.
"""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.nafnet import NAFBlock, NAFNet, NAFNetConfig
from unblur.models.padding import padded_to_multiple
from unblur.models.pooling import for_smaller

STRIDE_PX = 4
"""Side of the squares of pixels that the choosing network folds into channels."""

CORRECTION_SCALE = 8.0
"""Corrections are a few hundredths of white; times this they are about as large as what a network likes to see."""

FIRST_BIAS = -3.0
"""Training begins with the network's own size nearly alone: of the coarser one a share of 0.05."""

MOST_SCALES = 8
"""At the last of them a photograph is a hundredth as long as it is."""


@dataclass(frozen=True, kw_only=True)
class MultiScaleConfig:
    """Sizes of a restoring network at several sizes of the photograph."""

    hourglass: NAFNetConfig
    """What restores, at every size."""
    scales: int = 3
    """How many sizes: full, half, quarter and so on."""
    channels: int = 48
    """Of what chooses between two sizes."""
    blocks: int = 4
    """Of what chooses."""
    told_coarser: bool = False
    """Whether the hourglass is told what came up from the next smaller size; else the choice alone sees that."""

    def __post_init__(self) -> None:
        if self.scales > MOST_SCALES:
            raise ValueError(f"{self.scales} sizes leave nothing of a photograph; at most {MOST_SCALES} make sense")
        if self.scales < 2 or self.channels < 1 or self.blocks < 0:
            raise ValueError(f"there must be two sizes at least, and channels to choose with: {self}")


class ScaleChoice(nn.Module):
    """Two restorations of a photograph joined. Shape: three times (B, 3, H, W), multiples of 4 -> (B, 3, H, W)."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.intro = nn.Conv2d(9 * STRIDE_PX**2, channels, 3, padding=1)
        self.body = nn.Sequential(*(NAFBlock(channels, STRIDE_PX) for _ in range(blocks)))
        self.ending = nn.Conv2d(channels, 4 * STRIDE_PX**2, 3, padding=1)
        nn.init.zeros_(self.ending.weight)
        nn.init.zeros_(cast(Tensor, self.ending.bias))

    def forward(self, blurry: Tensor, own: Tensor, coarser: Tensor) -> Tensor:
        """`own` was restored at this size, `coarser` at the next smaller one and enlarged."""
        corrections = (CORRECTION_SCALE * (own - blurry), CORRECTION_SCALE * (coarser - blurry))
        seen = F.pixel_unshuffle(torch.cat((blurry - 0.5, *corrections), dim=1), STRIDE_PX)
        # In the photograph's own precision from here on, as in NAFNet.
        answer = F.pixel_shuffle(self.ending(self.body(self.intro(seen))), STRIDE_PX).to(blurry.dtype)
        share = torch.sigmoid(answer[:, :1] + FIRST_BIAS)
        joined: Tensor = own + share * (coarser - own) + answer[:, 1:] / CORRECTION_SCALE
        return joined


class MultiScale(nn.Module):
    """Blurry photograph in, restored photograph out. Shape: (B, 3, H, W) RGB in [0, 1] -> same, any H and W."""

    def __init__(self, config: MultiScaleConfig) -> None:
        super().__init__()
        self.config = config
        self.hourglass = NAFNet(config.hourglass)
        self.choice = ScaleChoice(config.channels, config.blocks)
        self.tell = _tell(config.hourglass) if config.told_coarser else None
        # The same weights at every size. In tuples, so that PyTorch does not take them for more weights.
        times = [2**scale for scale in range(1, config.scales)]
        self._hourglasses = (self.hourglass, *(for_smaller(self.hourglass, n) for n in times))
        self._choices = (self.choice, *(for_smaller(self.choice, n) for n in times[:-1]))

    def forward(self, blurry: Tensor) -> Tensor:
        height, width = blurry.shape[2:]
        # At every size but the smallest the choice needs whole squares.
        sizes = [padded_to_multiple(blurry, STRIDE_PX * 2 ** (self.config.scales - 2))]
        for _ in range(self.config.scales - 1):
            sizes.append(F.avg_pool2d(sizes[-1], 2))
        correction: Tensor = self._hourglasses[-1](sizes[-1]) - sizes[-1]
        finer = zip(self._hourglasses[:-1], self._choices, sizes[:-1], strict=True)
        for hourglass, choose, size in reversed(list(finer)):
            correction = enlarged(correction)
            own = hourglass(size, self._told(correction))
            correction = choose(size, own, size + correction) - size
        return blurry + correction[..., :height, :width]

    def _told(self, correction: Tensor) -> Tensor | None:
        """Features for the hourglass of what came up. Shape: (B, 3, H, W) -> (B, C, H / stem, W / stem), padded."""
        if self.tell is None:
            return None
        whole = padded_to_multiple(CORRECTION_SCALE * correction, self.hourglass.multiple_of)
        told: Tensor = self.tell(F.pixel_unshuffle(whole, self.config.hourglass.stem_stride))
        return told


def _tell(hourglass: NAFNetConfig) -> nn.Conv2d:
    """As the hourglass looks at a photograph. It begins at zero: nothing is told."""
    tell = nn.Conv2d(3 * hourglass.stem_stride**2, hourglass.width, 3, padding=1)
    nn.init.zeros_(tell.weight)
    nn.init.zeros_(cast(Tensor, tell.bias))
    return tell


class AtHalfSize(nn.Module):
    """What a network makes of the photograph at half its size, laid over it: a quarter of the time; fine blur stays.

    Shape: (B, 3, H, W) RGB in [0, 1] -> same, any H and W.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._smaller = (for_smaller(network, 2),)

    def forward(self, blurry: Tensor) -> Tensor:
        height, width = blurry.shape[2:]
        (network,) = self._smaller
        half = F.avg_pool2d(padded_to_multiple(blurry, 2), 2)
        return blurry + enlarged(network(half) - half)[..., :height, :width]


def enlarged(correction: Tensor) -> Tensor:
    """Of twice the size, for the mean of each square of four pixels. Shape: (B, C, H, W) -> (B, C, 2H, 2W)."""
    return F.interpolate(correction, scale_factor=2, mode="bilinear", align_corners=False)
