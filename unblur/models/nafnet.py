"""NAFNet: the restoring network, and GLOWDeblur's pre-reconstruction.

One idea: a U-shaped network of blocks without activation functions. A gate that multiplies two halves of
the channels replaces the activation, and one mean per channel replaces attention.

Sources: "Simple Baselines for Image Restoration" (NAFNet, Chen et al. 2022, arXiv 2204.04676) for the block
and the U shape; the GLOWDeblur paper (arXiv 2601.06525) names SimpleGate and simplified channel attention
and draws four encoder and four decoder groups of two blocks. Differences from NAFNet: the optional stem,
which folds `stem_stride` x `stem_stride` pixels into channels before the first convolution (a quarter of the
time for stride 2), padding by edge replication instead of zeros, and statistics that can be made local.
"""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.host import DecoderScale
from unblur.models.layer_norm import ChannelLayerNorm
from unblur.models.padding import pad_to_multiple
from unblur.models.pooling import ChannelMean
from unblur.models.spe import PriorConfig, PriorSource, build_embeddings


@dataclass(frozen=True, kw_only=True)
class NAFNetConfig:
    """Sizes of a NAFNet. Level l works at stride `stem_stride * 2**l` with `width * 2**l` channels."""

    width: int
    """Channels at the finest level."""
    encoder_blocks: tuple[int, ...]
    """Blocks at each encoder level, finest first."""
    middle_blocks: int
    """Blocks at the coarsest stride."""
    decoder_blocks: tuple[int, ...]
    """Blocks at each decoder level, coarsest first."""
    stem_stride: int = 1
    """Side of the pixel square folded into channels by the stem."""
    prior: PriorConfig | None = None
    """The semantic prior that conditions the decoder; None for a network without one."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.stem_stride < 1 or self.middle_blocks < 0:
            raise ValueError(f"width and stem_stride must be positive, middle_blocks not negative: {self}")
        if len(self.encoder_blocks) != len(self.decoder_blocks):
            raise ValueError(f"the encoder and the decoder must have the same number of levels: {self}")


class SimpleGate(nn.Module):
    """Product of the two halves of the channels. Shape: (B, 2C, H, W) -> (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=1)
        return first * second


class SimplifiedChannelAttention(nn.Module):
    """Channels scaled by a linear map of their means. Shape: (B, C, H, W) -> same."""

    def __init__(self, channels: int, stride_px: int) -> None:
        super().__init__()
        self.mean = ChannelMean(stride_px)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale: Tensor = self.project(self.mean(x))
        return x * scale


class NAFBlock(nn.Module):
    """Spatial mixing, then channel mixing, each added to its input with a learned scale that starts at 0.

    Shape: (B, C, H, W) -> same.
    """

    def __init__(self, channels: int, stride_px: int) -> None:
        super().__init__()
        self.norm1 = ChannelLayerNorm(channels, eps=1e-6)
        self.expand1 = nn.Conv2d(channels, 2 * channels, 1)
        self.depthwise = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.gate = SimpleGate()
        self.attention = SimplifiedChannelAttention(channels, stride_px)
        self.project1 = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.norm2 = ChannelLayerNorm(channels, eps=1e-6)
        self.expand2 = nn.Conv2d(channels, 2 * channels, 1)
        self.project2 = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.attention(self.gate(self.depthwise(self.expand1(self.norm1(x)))))
        x = x + _convolve_and_scale(self.project1, mixed, self.beta)
        mixed = self.gate(self.expand2(self.norm2(x)))
        return x + _convolve_and_scale(self.project2, mixed, self.gamma)


def _convolve_and_scale(conv: nn.Conv2d, x: Tensor, scale: Tensor) -> Tensor:
    """Compute conv(x) * scale, with the scale applied to the weights, which are far fewer than the pixels.

    Shape: (B, C, H, W), scale (1, C, 1, 1) -> (B, C, H, W).
    """
    return F.conv2d(x, conv.weight * scale.view(-1, 1, 1, 1), cast(Tensor, conv.bias) * scale.flatten())


class NAFNet(nn.Module):
    """Network that restores a blurry image. Shape: (B, 3, H, W) RGB in [0, 1] -> same, any H and W.

    The output is not clipped. It is the input plus a learned correction.
    """

    def __init__(self, config: NAFNetConfig) -> None:
        super().__init__()
        self.config = config
        stride = config.stem_stride
        pixels = 3 * stride**2
        channels = config.width
        self.intro = nn.Conv2d(pixels, channels, 3, padding=1)
        self.encoders, self.downs = nn.ModuleList(), nn.ModuleList()
        for blocks in config.encoder_blocks:
            self.encoders.append(nn.Sequential(*(NAFBlock(channels, stride) for _ in range(blocks))))
            self.downs.append(nn.Conv2d(channels, 2 * channels, 2, stride=2))
            channels, stride = 2 * channels, 2 * stride
        self.middle = nn.Sequential(*(NAFBlock(channels, stride) for _ in range(config.middle_blocks)))
        self.ups, self.decoders = nn.ModuleList(), nn.ModuleList()
        for blocks in config.decoder_blocks:
            self.ups.append(nn.Sequential(nn.Conv2d(channels, 2 * channels, 1, bias=False), nn.PixelShuffle(2)))
            channels, stride = channels // 2, stride // 2
            self.decoders.append(nn.Sequential(*(NAFBlock(channels, stride) for _ in range(blocks))))
        self.ending = nn.Conv2d(channels, pixels, 3, padding=1)
        # The correction is zero-initialised: training begins at the identity.
        nn.init.zeros_(self.ending.weight)
        nn.init.zeros_(cast(Tensor, self.ending.bias))
        # Created last, so that the network without a prior has the same random weights.
        self.prior = PriorSource(config.prior, self.decoder_scales)
        self.embeddings = build_embeddings(config.prior, self.decoder_scales)

    @property
    def multiple_of(self) -> int:
        """The multiple to which heights and widths are padded."""
        return int(self.config.stem_stride * 2 ** len(self.config.encoder_blocks))

    @property
    def decoder_scales(self) -> tuple[DecoderScale, ...]:
        """The scales of the decoder, coarsest first."""
        finest = self.config.stem_stride
        return tuple(
            DecoderScale(stride_px=finest * 2**level, channels=self.config.width * 2**level)
            for level in reversed(range(len(self.config.decoder_blocks)))
        )

    def forward(self, blurry: Tensor, extra_features: Tensor | None = None) -> Tensor:
        """Restore the image; `extra_features` are added to the first features, see `encode`."""
        height, width = blurry.shape[2:]
        whole = pad_to_multiple(blurry, self.multiple_of)
        correction = self.decode(self.encode(whole, extra_features), self.prior(whole))
        # Added in the input's own precision: bfloat16 has too few digits for a photograph, not for a correction.
        return blurry + correction[..., :height, :width].to(blurry.dtype)

    def encode(self, blurry: Tensor, extra_features: Tensor | None = None) -> list[Tensor]:
        """Compute features at every stride, finest first, the last after the middle blocks.

        `extra_features`, (B, width, H / stem stride, W / stem stride), are added to the output of the first layer.
        """
        x = self.intro(F.pixel_unshuffle(blurry, self.config.stem_stride))
        if extra_features is not None:
            x = x + extra_features
        features = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            features.append(x)
            x = down(x)
        features.append(self.middle(x))
        return features

    def decode(self, features: list[Tensor], priors: list[Tensor | None]) -> Tensor:
        """Compute the correction to the image. Shape: features of `encode`, outputs of `prior` -> (B, 3, H, W)."""
        x = features[-1]
        layers = zip(self.ups, self.embeddings, self.decoders, strict=True)
        for (up, embed, decoder), skip, prior in zip(layers, reversed(features[:-1]), priors, strict=True):
            x = up(x) + skip
            x = decoder(embed(x, prior))
        return F.pixel_shuffle(self.ending(x), self.config.stem_stride)
