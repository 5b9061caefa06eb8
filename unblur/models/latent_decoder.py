"""A decoder of photographs from latents, which are 32 numbers for each square of 32 x 32 pixels.

One idea: shortcuts without weights. Every upsampling adds its input, with channels repeated and rearranged to pixels,
to its learned output, so that the blocks learn corrections only, at every scale.

Source: "Deep Compression Autoencoder for Efficient High-Resolution Diffusion Models" (DC-AE, Chen et al. 2024, arXiv
2410.10733) for residual autoencoding and the latents, which are SANA's (Xie et al. 2024, arXiv 2410.10629).
Differences, for two CPU cores: fewer channels and blocks, the plain residual block without normalisation instead of
RMS norms and linear attention, 1x1 instead of 3x3 convolutions where pixels are laid out, and the last scale is half
size, four pixels at a time. All layers are convolutions: beyond their receptive field a decoded tile equals the whole.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.residual_block import build_residual_blocks

MIDDLE_GREY = 0.5
"""The output of an untrained decoder: half way from black to white."""


@dataclass(frozen=True, kw_only=True)
class LatentDecoderConfig:
    """Sizes of a latent decoder. The resolution doubles from scale to scale; the last has stride 2."""

    latent_channels: int = 32
    channels: tuple[int, ...] = (192, 192, 96, 48, 48)
    """Coarsest first: at strides 32, 16, 8, 4 and 2."""
    blocks: tuple[int, ...] = (2, 2, 3, 3, 3)
    """Blocks at the same strides."""

    def __post_init__(self) -> None:
        if len(self.channels) != len(self.blocks) or not self.channels:
            raise ValueError(f"every scale needs its channels and its blocks: {self}")
        if self.channels[0] % self.latent_channels or any(4 * out % into for into, out in pairwise(self.channels)):
            raise ValueError(f"shortcuts repeat channels a whole number of times, which these do not allow: {self}")

    @property
    def stride_px(self) -> int:
        """The distance between neighbouring latents in pixels."""
        return int(2 ** len(self.channels))


class Upsampling(nn.Module):
    """Upsampling by rearranging channels to pixels. Shape: (B, C, H, W) -> (B, `channels`, 2H, 2W)."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels_in, 4 * channels, 1)
        self.repeats = 4 * channels // channels_in

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.expand(x) + x.repeat_interleave(self.repeats, dim=1), 2)


class LatentDecoder(nn.Module):
    """Decoder of latents into photographs.

    Shape: (B, 32, h, w), about unit deviation -> (B, 3, 32h, 32w) RGB, about [0, 1]. The output is not clipped.
    """

    def __init__(self, config: LatentDecoderConfig) -> None:
        super().__init__()
        self.config = config
        first, last = config.channels[0], config.channels[-1]
        self.repeats = first // config.latent_channels
        self.intro = nn.Conv2d(config.latent_channels, first, 3, padding=1)
        self.scales = nn.ModuleList(
            build_residual_blocks(channels, count)
            for channels, count in zip(config.channels, config.blocks, strict=True)
        )
        self.ups = nn.ModuleList(Upsampling(into, out) for into, out in pairwise(config.channels))
        self.ending = nn.Conv2d(last, 12, 3, padding=1)
        # Training begins at middle grey, which is nearer to photographs than random colours are.
        nn.init.zeros_(self.ending.weight)
        nn.init.constant_(cast(Tensor, self.ending.bias), MIDDLE_GREY)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.intro(latents) + latents.repeat_interleave(self.repeats, dim=1)
        x = self.scales[0](x)
        for up, blocks in zip(self.ups, self.scales[1:], strict=True):
            x = blocks(up(x))
        return F.pixel_shuffle(self.ending(x).float(), 2)
