"""An encoder of photographs into latents, which mirrors the decoder, for a latent space of our own.

One idea: shortcuts without weights. Every downsampling adds its pixels, rearranged to channels and averaged in groups,
to its learned output.

Source and differences: those of `unblur.models.latent_decoder`. One more: the encoder ends in a standardisation of each
channel, so that latents are centred at 0 with a deviation of 1 by construction, as diffusion needs them, where DC-AE
measures one factor after training. That leaves the scale of all that comes before without meaning, so each scale ends
in a layer normalisation: without, features grew to millions within two hundred steps.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.layer_norm import ChannelLayerNorm
from unblur.models.residual_block import build_residual_blocks

MEMORY = 0.02
"""Share of each batch in the statistics that are used after training."""

PRIOR_WEIGHT = 1e-6
"""Weight of the initial mean 0 and deviation 1 of these statistics: a few batches outweigh it."""

SMALLEST_VARIANCE = 1e-10
"""Constant added to variances, because a channel may be nearly constant."""


@dataclass(frozen=True, kw_only=True)
class LatentEncoderConfig:
    """Sizes of a latent encoder. The first scale is at stride 2, each next one twice as coarse."""

    latent_channels: int = 32
    channels: tuple[int, ...] = (64, 64, 128, 256, 256)
    """Finest first: at strides 2, 4, 8, 16 and 32."""
    blocks: tuple[int, ...] = (1, 2, 2, 2, 2)
    """Blocks at the same strides."""

    def __post_init__(self) -> None:
        if len(self.channels) != len(self.blocks) or not self.channels:
            raise ValueError(f"every scale needs its channels and its blocks: {self}")
        if self.channels[-1] % self.latent_channels or any(4 * into % out for into, out in pairwise(self.channels)):
            raise ValueError(f"shortcuts average whole groups of channels, which these do not allow: {self}")

    @property
    def stride_px(self) -> int:
        """The distance between neighbouring latents in pixels."""
        return int(2 ** len(self.channels))


class Downsampling(nn.Module):
    """Downsampling by rearranging pixels to channels.

    Shape: (B, C, H, W) -> (B, `channels`, H/2, W/2), H and W even.
    """

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels_in, channels, 3, stride=2, padding=1)
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        reduced: Tensor = self.reduce(x)
        return reduced + average_groups(F.pixel_unshuffle(x, 2), self.channels)


class Standardisation(nn.Module):
    """Standardisation of each channel to mean 0 and deviation 1, by the statistics of the batch or, later, of training.

    Shape: (B, C, H, W) -> same, in float32; in training more than one position. Batch normalisation (Ioffe, Szegedy
    2015, arXiv 1502.03167) without learnt scales.
    """

    mean: Tensor
    deviation: Tensor
    weight: Tensor
    """The divisor of the sums `mean` and `deviation`: averages over training steps stay consistent."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.full((channels,), PRIOR_WEIGHT))
        self.register_buffer("weight", torch.full((), PRIOR_WEIGHT))

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        if self.training:
            variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
            deviation = (variance + SMALLEST_VARIANCE).sqrt()
            with torch.no_grad():
                self.mean.lerp_(mean, MEMORY)
                self.deviation.lerp_(deviation, MEMORY)
                self.weight.lerp_(torch.ones_like(self.weight), MEMORY)
        else:
            mean, deviation = self.mean / self.weight, self.deviation / self.weight
        return (x - mean.view(-1, 1, 1)) / deviation.view(-1, 1, 1)


class LatentEncoder(nn.Module):
    """Encoder of photographs into latents.

    Shape: (B, 3, H, W) RGB in [0, 1], multiples of 32 -> (B, 32, H/32, W/32).
    """

    def __init__(self, config: LatentEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.intro = nn.Conv2d(12, config.channels[0], 3, padding=1)
        self.scales = nn.ModuleList(
            build_residual_blocks(channels, count)
            for channels, count in zip(config.channels, config.blocks, strict=True)
        )
        self.norms = nn.ModuleList(ChannelLayerNorm(channels, eps=1e-6) for channels in config.channels)
        self.downs = nn.ModuleList(Downsampling(into, out) for into, out in pairwise(config.channels))
        self.ending = nn.Conv2d(config.channels[-1], config.latent_channels, 3, padding=1)
        self.standardise = Standardisation(config.latent_channels)

    def forward(self, image: Tensor) -> Tensor:
        x = self.norms[0](self.scales[0](self.intro(F.pixel_unshuffle(image - 0.5, 2))))
        for down, blocks, norm in zip(self.downs, self.scales[1:], self.norms[1:], strict=True):
            x = norm(blocks(down(x)))
        latents: Tensor = self.standardise(self.ending(x) + average_groups(x, self.config.latent_channels))
        return latents


def average_groups(x: Tensor, channels: int) -> Tensor:
    """Average neighbouring channels, in as many groups as `channels`. Shape: (B, C, H, W) -> (B, channels, H, W)."""
    batch, _, height, width = x.shape
    return x.reshape(batch, channels, -1, height, width).mean(dim=2)
