"""Restormer: a transformer whose attention compares channels instead of positions.

One idea: the attention matrix of C channels is C x C, however many pixels there are, and still depends on all of them.

Source: "Restormer: Efficient Transformer for High-Resolution Image Restoration" (Zamir et al. 2022, arXiv
2111.09881). The defaults are its deblurring network. Differences: any size, by edge replication; the last layer
begins at zero where the authors begin at random, so that training begins at the identity.

Tiles: two channels are compared over all the network is given, so a tile has statistics of its own and differs
from the same place in the whole photograph, everywhere and not only near its edges. Nothing here makes that local
as `ChannelMean` does for averages: give large tiles, about as large as the training patches or larger.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.host import DecoderScale
from unblur.models.layer_norm import ChannelLayerNorm
from unblur.models.padding import pad_to_multiple
from unblur.models.spe import PriorConfig, PriorSource, build_embeddings


@dataclass(frozen=True, kw_only=True)
class RestormerConfig:
    """Sizes of a Restormer. Level l works at stride `2**l` with `width * 2**l` channels."""

    width: int = 48
    """Channels at the finest level; the decoder has twice as many there."""
    blocks: tuple[int, ...] = (4, 6, 6, 8)
    """Blocks at each level, finest first: in the encoder and, but for the coarsest, again in the decoder."""
    heads: tuple[int, ...] = (1, 2, 4, 8)
    """Attention heads, which are groups of channels, at each level."""
    refinement_blocks: int = 4
    """Blocks at full size, after the decoder."""
    expansion: float = 2.66
    """Hidden channels of a feed-forward layer, relative to its width, rounded down."""
    prior: PriorConfig | None = None
    """The semantic prior that conditions the decoder; None for a network without one."""

    def __post_init__(self) -> None:
        if len(self.blocks) < 2 or len(self.blocks) != len(self.heads):
            raise ValueError(f"there must be two levels at least, each with its blocks and heads: {self}")
        if any(self.width * 2**level % heads for level, heads in enumerate(self.heads)) or self.width % 2:
            raise ValueError(f"width must be even, and channels must divide among the heads: {self}")
        if self.width < 2 or min(self.blocks) < 1 or self.refinement_blocks < 0 or self.expansion * self.width < 1:
            raise ValueError(f"width, blocks and expansion must be positive: {self}")


class TransposedAttention(nn.Module):
    """Attention between channels instead of positions (MDTA). Shape: (B, C, H, W) -> same."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.expand = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.depthwise = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False)
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.depthwise(self.expand(x)).chunk(3, dim=1)
        query, key, value = (part.unflatten(1, (self.heads, -1)).flatten(3) for part in parts)  # (B, heads, c, H W)
        # Cosines between channels, each of which is a vector of its pixels.
        cosines = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1)  # (B, heads, c, c)
        mixed = (cosines * self.temperature).softmax(dim=-1) @ value
        projected: Tensor = self.project(mixed.flatten(1, 2).unflatten(2, x.shape[2:]))
        return projected


class GatedFeedForward(nn.Module):
    """Feed-forward layer with depthwise convolutions, one half of the channels gating the other (GDFN).

    Shape: (B, C, H, W) -> same.
    """

    def __init__(self, channels: int, expansion: float) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.expand = nn.Conv2d(channels, 2 * hidden, 1, bias=False)
        self.depthwise = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False)
        self.project = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, content = self.depthwise(self.expand(x)).chunk(2, dim=1)
        projected: Tensor = self.project(F.gelu(gate) * content)
        return projected


class TransformerBlock(nn.Module):
    """Attention, then feed-forward, each added to its input. Shape: (B, C, H, W) -> same."""

    def __init__(self, channels: int, heads: int, expansion: float) -> None:
        super().__init__()
        self.norm1 = ChannelLayerNorm(channels, eps=1e-5)
        self.attention = TransposedAttention(channels, heads)
        self.norm2 = ChannelLayerNorm(channels, eps=1e-5)
        self.feed_forward = GatedFeedForward(channels, expansion)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        correction: Tensor = self.feed_forward(self.norm2(x))
        return x + correction


class Restormer(nn.Module):
    """Network that restores a blurry photograph. Shape: (B, 3, H, W) RGB in [0, 1] -> same, any H and W.

    The output is not clipped.
    """

    def __init__(self, config: RestormerConfig) -> None:
        super().__init__()
        self.config = config

        def blocks(count: int, channels: int, heads: int) -> nn.Sequential:
            return nn.Sequential(*(TransformerBlock(channels, heads, config.expansion) for _ in range(count)))

        channels = config.width
        self.intro = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.encoders, self.downs = nn.ModuleList(), nn.ModuleList()
        for count, heads in zip(config.blocks[:-1], config.heads[:-1], strict=True):
            self.encoders.append(blocks(count, channels, heads))
            half = nn.Conv2d(channels, channels // 2, 3, padding=1, bias=False)
            self.downs.append(nn.Sequential(half, nn.PixelUnshuffle(2)))
            channels *= 2
        self.middle = blocks(config.blocks[-1], channels, config.heads[-1])
        self.ups, self.merges, self.decoders = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for level in reversed(range(len(config.blocks) - 1)):
            double = nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False)
            self.ups.append(nn.Sequential(double, nn.PixelShuffle(2)))
            channels //= 2
            # At full size the decoder has the channels of the skip connection too.
            merge = nn.Conv2d(2 * channels, channels, 1, bias=False) if level else nn.Identity()
            self.merges.append(merge)
            self.decoders.append(blocks(config.blocks[level], channels if level else 2 * channels, config.heads[level]))
        self.refinement = blocks(config.refinement_blocks, 2 * config.width, config.heads[0])
        self.ending = nn.Conv2d(2 * config.width, 3, 3, padding=1, bias=False)
        nn.init.zeros_(self.ending.weight)
        # Created last, so that the network without a prior has the same random weights.
        self.prior = PriorSource(config.prior, self.decoder_scales)
        self.embeddings = build_embeddings(config.prior, self.decoder_scales)

    @property
    def multiple_of(self) -> int:
        """The multiple to which heights and widths are padded."""
        return int(2 ** (len(self.config.blocks) - 1))

    @property
    def decoder_scales(self) -> tuple[DecoderScale, ...]:
        """The scales of the decoder, coarsest first."""
        return tuple(
            # The finest level has twice its channels, as many as the next coarser one.
            DecoderScale(stride_px=2**level, channels=self.config.width * 2 ** max(1, level))
            for level in reversed(range(len(self.config.blocks) - 1))
        )

    def forward(self, blurry: Tensor) -> Tensor:
        height, width = blurry.shape[2:]
        whole = pad_to_multiple(blurry, self.multiple_of)
        correction = self.decode(self.encode(whole), self.prior(whole))
        return blurry + correction[..., :height, :width].to(blurry.dtype)

    def encode(self, blurry: Tensor) -> list[Tensor]:
        """Compute features at every stride, finest first."""
        x = self.intro(blurry)
        features = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            features.append(x)
            x = down(x)
        return [*features, self.middle(x)]

    def decode(self, features: list[Tensor], priors: list[Tensor | None]) -> Tensor:
        """Compute the correction to the blurry photograph. Shape: features of `encode`, `prior`'s -> (B, 3, H, W)."""
        x = features[-1]
        skips = reversed(features[:-1])
        layers = zip(self.ups, self.merges, self.embeddings, self.decoders, strict=True)
        for (up, merge, embed, decoder), skip, prior in zip(layers, skips, priors, strict=True):
            x = merge(torch.cat((up(x), skip), dim=1))
            x = decoder(embed(x, prior))
        correction: Tensor = self.ending(self.refinement(x))
        return correction
