"""Shapes of restoring networks that the race compares: one U-Net, several kinds of blocks.

All but NAFNet share what lies between the blocks, so that a race compares blocks, channels and strides alone. The
network of the winner is `unblur.models.plain_unet`; the others are here.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, assert_never, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.padding import pad_to_multiple

Block = Literal["plain", "residual", "merged", "gate"]
"""plain: 3x3 convolutions, each followed by ReLU. residual: two 3x3 convolutions with ReLU between, added to their
input (DeepDeblur). merged: as plain, with a 1x1 convolution and the identity added to each 3x3 convolution and merged
into its weights (RepVGG, DiracNet). gate: a 3x3 convolution to twice the channels whose halves are multiplied (NAFNet's
gate) and a 1x1 convolution, added to their input."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a `ShapedUNet`."""

    channels: tuple[int, ...]
    """Channels at each level, finest first; level l has stride `stem_stride * 2**l`."""
    block: Block
    convolutions: int = 2
    """3x3 convolutions at each level and side; even for residual blocks."""
    coarsest: int = 2
    """3x3 convolutions at the coarsest level."""
    stem_stride: int = 2
    """Side of the pixel square that the first layer folds into channels."""
    large_blocks: int = 0
    """Blocks with 7x7 depthwise convolutions (ConvNeXt) at the coarsest level."""


class MergedConv2d(nn.Module):
    """3x3 convolution plus 1x1 convolution plus identity, computed as one 3x3 convolution in training too.

    Shape: (B, C, H, W) -> same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.square = nn.Conv2d(channels, channels, 3, padding=1)
        self.point = nn.Parameter(torch.zeros(channels, channels))
        self.identity = nn.Parameter(torch.ones(channels))
        with torch.no_grad():
            self.square.weight.mul_(0.5)

    @property
    def weight(self) -> Tensor:
        """The weight of the merged convolution. Shape: (C, C, 3, 3)."""
        middle = self.point + torch.diag(self.identity)
        return self.square.weight + F.pad(middle[..., None, None], (1, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.square.bias, padding=1)


class Residual(nn.Module):
    """Layers whose output is added to their input. Shape: (B, C, H, W) -> same."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + cast(Tensor, self.layers(x))


class Gate(nn.Module):
    """Product of the two halves of the channels. Shape: (B, 2C, H, W) -> (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=1)
        return first * second


class ShapedUNet(nn.Module):
    """Blurry photograph in, restored photograph out. Shape: (B, 3, H, W) RGB in [0, 1] -> same, any H and W."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        pixels = 3 * shape.stem_stride**2
        channels = shape.channels
        self.intro = nn.Conv2d(pixels, channels[0], 3, padding=1)
        pairs = list(pairwise(channels))
        self.encoders = nn.ModuleList(_build_blocks(shape.block, fine, shape.convolutions) for fine, _ in pairs)
        self.downs = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairs)
        self.middle = _build_blocks(shape.block, channels[-1], shape.coarsest)
        self.large = nn.Sequential(*(_build_large_block(channels[-1]) for _ in range(shape.large_blocks)))
        # Nearest-neighbour enlargement after a 1x1 convolution takes a third of the time of one to four times the
        # channels with PixelShuffle, forward and backward, and the convolutions that follow smooth its squares.
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Conv2d(coarse, fine, 1), nn.Upsample(scale_factor=2)) for fine, coarse in pairs
        )
        self.decoders = nn.ModuleList(_build_blocks(shape.block, fine, shape.convolutions) for fine, _ in pairs)
        self.ending = nn.Conv2d(channels[0], pixels, 3, padding=1)
        nn.init.zeros_(self.ending.weight)
        nn.init.zeros_(cast(Tensor, self.ending.bias))

    def forward(self, blurry: Tensor) -> Tensor:
        height, width = blurry.shape[2:]
        stride = self.shape.stem_stride
        whole = pad_to_multiple(blurry, stride * 2 ** len(self.downs))
        x = self.intro(F.pixel_unshuffle(whole, stride))
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            skips.append(x)
            x = down(x)
        x = self.large(self.middle(x))
        for up, decoder, skip in reversed(list(zip(self.ups, self.decoders, skips, strict=True))):
            x = decoder(up(x) + skip)
        correction = F.pixel_shuffle(self.ending(x), stride)
        return blurry + correction[..., :height, :width].to(blurry.dtype)


def _build_blocks(block: Block, channels: int, convolutions: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    match block:
        case "plain":
            for _ in range(convolutions):
                layers += [_initialize_he(nn.Conv2d(channels, channels, 3, padding=1)), nn.ReLU(inplace=True)]
        case "residual":
            for _ in range(convolutions // 2):
                layers.append(
                    Residual(
                        _initialize_he(nn.Conv2d(channels, channels, 3, padding=1)),
                        nn.ReLU(inplace=True),
                        _initialize_small(nn.Conv2d(channels, channels, 3, padding=1)),
                    )
                )
        case "merged":
            for _ in range(convolutions):
                layers += [MergedConv2d(channels), nn.ReLU(inplace=True)]
        case "gate":
            for _ in range(convolutions // 2):
                layers.append(
                    Residual(
                        nn.Conv2d(channels, 2 * channels, 3, padding=1),
                        Gate(),
                        _initialize_small(nn.Conv2d(channels, channels, 1)),
                    )
                )
        case _:
            assert_never(block)
    return nn.Sequential(*layers)


def _build_large_block(channels: int) -> nn.Module:
    return Residual(
        nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
        nn.Conv2d(channels, 2 * channels, 1),
        nn.ReLU(inplace=True),
        _initialize_small(nn.Conv2d(2 * channels, channels, 1)),
    )


def _initialize_he(conv: nn.Conv2d) -> nn.Conv2d:
    """Return weights that keep the variance through ReLU (He et al. 2015)."""
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    nn.init.zeros_(cast(Tensor, conv.bias))
    return conv


def _initialize_small(conv: nn.Conv2d) -> nn.Conv2d:
    """Return the small weights: residual branches begin a tenth as large as usual, so that depth does not amplify."""
    with torch.no_grad():
        conv.weight.mul_(0.1)
        cast(Tensor, conv.bias).zero_()
    return conv
