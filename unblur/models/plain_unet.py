"""A U-Net for processors: wide 3x3 convolutions with ReLU at coarse strides, and little else.

Processors with matrix units compute wide 3x3 convolutions near their peak, while depthwise convolutions, normalisation,
gates and attention are limited by memory. So this network has residual blocks of two 3x3 convolutions and nothing else.
Its stem folds squares of pixels into channels before the first convolution, which makes tensors smaller and channels
many. For upsampling, a 1x1 convolution reduces the channels first and nearest-neighbour interpolation enlarges the
result, which takes a third of the time of PixelShuffle. `experiments.shape_race` compares it with others.

Sources: U-Net (Ronneberger et al. 2015, arXiv 1505.04597) for the shape; DeepDeblur (Nah et al. 2017, arXiv 1612.02177)
for residual blocks without normalisation; NAFNet (Chen et al. 2022, arXiv 2204.04676) for skip connections that are
added. Differences: the stem, the order of reduction and enlargement, padding by edge replication instead of zeros at
the photograph's right and bottom edge, residual branches that begin a tenth as large as PyTorch initialises
convolutions, and a last convolution that begins at zero, so that training begins at the identity.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.padding import pad_to_multiple

_FIRST_SCALE = 0.1
"""Initial scale of residual branches, so that sums of many have the magnitude of their input."""


@dataclass(frozen=True, kw_only=True)
class PlainUNetConfig:
    """Sizes of a PlainUNet. Level l has stride `stem_stride * 2**l`."""

    channels: tuple[int, ...] = (96, 192, 384)
    """Channels at each level, finest first; multiples of 32 fill the matrix units."""
    blocks: tuple[int, ...] = (1, 1, 1)
    """Residual blocks at each level, finest first: of the encoder and, but for the coarsest level, of the decoder."""
    stem_stride: int = 4
    """Side of the pixel square that the stem folds into channels."""

    def __post_init__(self) -> None:
        if len(self.channels) < 2 or len(self.blocks) != len(self.channels):
            raise ValueError(f"a PlainUNet needs two levels at least, and blocks for each of them: {self}")
        if min(self.channels) < 1 or min(self.blocks) < 0 or self.stem_stride < 1:
            raise ValueError(f"channels and stem_stride must be positive, blocks not negative: {self}")


class PlainBlock(nn.Module):
    """Two 3x3 convolutions with ReLU between them, added to their input. Shape: (B, C, H, W) -> same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.kaiming_normal_(self.conv1.weight, nonlinearity="relu")
        nn.init.zeros_(cast(Tensor, self.conv1.bias))
        nn.init.zeros_(cast(Tensor, self.conv2.bias))
        with torch.no_grad():
            self.conv2.weight.mul_(_FIRST_SCALE)

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.conv2(F.relu(self.conv1(x), inplace=True)))


class PlainUNet(nn.Module):
    """Network that restores a blurry photograph. Shape: (B, 3, H, W) RGB in [0, 1] -> same, any H and W.

    The output is not clipped. It is the input plus a learned correction, so a correction of zero is the identity.
    """

    def __init__(self, config: PlainUNetConfig) -> None:
        super().__init__()
        self.config = config
        pixels = 3 * config.stem_stride**2
        levels = list(pairwise(config.channels))
        self.intro = nn.Conv2d(pixels, config.channels[0], 3, padding=1)
        self.encoders, self.decoders = nn.ModuleList(), nn.ModuleList()
        self.downs, self.reductions = nn.ModuleList(), nn.ModuleList()
        for (fine, coarse), blocks in zip(levels, config.blocks[:-1], strict=True):
            self.encoders.append(_make_blocks(fine, blocks))
            self.downs.append(nn.Conv2d(fine, coarse, 2, stride=2))
            self.reductions.append(nn.Conv2d(coarse, fine, 1))
            self.decoders.append(_make_blocks(fine, blocks))
        self.middle = _make_blocks(config.channels[-1], config.blocks[-1])
        self.ending = nn.Conv2d(config.channels[0], pixels, 3, padding=1)
        nn.init.zeros_(self.ending.weight)
        nn.init.zeros_(cast(Tensor, self.ending.bias))

    @property
    def multiple_of(self) -> int:
        """The multiple to which heights and widths are padded."""
        return int(self.config.stem_stride * 2 ** len(self.downs))

    def forward(self, blurry: Tensor, extra_features: Tensor | None = None) -> Tensor:
        """Restore the image; add `extra_features`, (B, channels[0], H / stem stride, W / stem stride), to the first."""
        height, width = blurry.shape[2:]
        whole = pad_to_multiple(blurry, self.multiple_of)
        x = self.intro(F.pixel_unshuffle(whole, self.config.stem_stride))
        if extra_features is not None:
            x = x + extra_features
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(x)
        x = self.middle(x)
        for reduction, decoder in reversed(list(zip(self.reductions, self.decoders, strict=True))):
            x = decoder(skips.pop() + F.interpolate(reduction(x), scale_factor=2.0, mode="nearest"))
        correction = F.pixel_shuffle(self.ending(x), self.config.stem_stride)
        # Added in the input's own precision: bfloat16 has too few digits for a photograph, not for a correction.
        return blurry + correction[..., :height, :width].to(blurry.dtype)


def _make_blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(PlainBlock(channels) for _ in range(count)))
