"""MIMO-UNet and MIMO-UNet+: one U-shaped network instead of a chain of networks from coarse to fine.

One idea: a single encoder gets the photograph at three sizes, and a single decoder restores it at three sizes.

Source: "Rethinking Coarse-to-Fine Approach in Single Image Deblurring" (Cho et al. 2021, arXiv 2108.05054); sizes
of layers that the paper does not give (the shallow module's, the kernels) are facts of the authors' published
networks. Differences: any size, by edge replication; the layers that end in a picture begin at zero where the
authors begin at random, so that training begins at the identity at all three sizes.

A tile equals the whole beyond the reach of the convolutions: nothing is averaged over the photograph.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.host import DecoderScale
from unblur.models.padding import pad_to_multiple
from unblur.models.residual_block import build_residual_blocks
from unblur.models.spe import PriorConfig, PriorSource, build_embeddings


@dataclass(frozen=True, kw_only=True)
class MIMOUNetConfig:
    """Sizes of a MIMO-UNet. The defaults are MIMO-UNet; MIMO-UNet+ has 20 blocks and dropout 0.1."""

    width: int = 32
    """Channels at full size; twice and four times as many at half and quarter size."""
    blocks: int = 8
    """Residual blocks in each of the three encoders and three decoders."""
    dropout: float = 0.0
    """Share of the channels of each fused skip connection that is dropped in a training step."""
    prior: PriorConfig | None = None
    """The semantic prior that conditions the decoder; None for a network without one."""

    def __post_init__(self) -> None:
        if self.width < 2 or self.blocks < 1 or not 0 <= self.dropout < 1:
            raise ValueError(f"width must be at least 2, blocks at least 1, dropout in [0, 1): {self}")

    @property
    def channels(self) -> tuple[int, int, int]:
        """Return the channels at strides 1, 2 and 4."""
        return self.width, 2 * self.width, 4 * self.width


class ShallowModule(nn.Module):
    """Extracts features of a downsampled image (the paper's SCM). Shape: (B, 3, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.expand1 = nn.Conv2d(3, channels // 4, 3, padding=1)
        self.expand2 = nn.Conv2d(channels // 4, channels // 2, 1)
        self.expand3 = nn.Conv2d(channels // 2, channels // 2, 3, padding=1)
        self.expand4 = nn.Conv2d(channels // 2, channels - 3, 1)
        self.merge = nn.Conv2d(channels, channels, 1)

    def forward(self, blurry: Tensor) -> Tensor:
        x = blurry
        for expand in (self.expand1, self.expand2, self.expand3, self.expand4):
            x = expand(x).relu()
        features: Tensor = self.merge(torch.cat((blurry, x), dim=1))
        return features


class FeatureAttention(nn.Module):
    """Features of the finer scale, modulated by those of the smaller photograph (FAM). Shape: (B, C, H, W) -> same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.merge = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, shallow: Tensor) -> Tensor:
        correction: Tensor = self.merge(x * shallow)
        return x + correction


class AsymmetricFusion(nn.Module):
    """Skip connection that fuses the features of all three scales (AFF). Shape: (B, 7 width, H, W) -> (B, C, H, W)."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels_in, channels, 1)
        self.mix = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, *scales: Tensor) -> Tensor:
        skip: Tensor = self.mix(self.reduce(torch.cat(scales, dim=1)).relu())
        return skip


class MIMOUNet(nn.Module):
    """Network that restores a blurry photograph. Shape: (B, 3, H, W) RGB in [0, 1] -> same, any H and W.

    The output is not clipped. `restore_all` returns the photograph at a quarter, half and full size.
    """

    def __init__(self, config: MIMOUNetConfig) -> None:
        super().__init__()
        self.config = config
        full, half, quarter = config.channels
        self.intro = nn.Conv2d(3, full, 3, padding=1)
        self.downs = nn.ModuleList(nn.Conv2d(c, 2 * c, 3, stride=2, padding=1) for c in (full, half))
        self.shallow = nn.ModuleList(ShallowModule(c) for c in (half, quarter))
        self.attentions = nn.ModuleList(FeatureAttention(c) for c in (half, quarter))
        self.encoders = nn.ModuleList(build_residual_blocks(c, config.blocks) for c in config.channels)
        self.fusions = nn.ModuleList(AsymmetricFusion(sum(config.channels), c) for c in (full, half))
        self.dropout = nn.Dropout2d(config.dropout)
        coarse_to_fine = config.channels[::-1]
        self.decoders = nn.ModuleList(build_residual_blocks(c, config.blocks) for c in coarse_to_fine)
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(c, finer, 4, stride=2, padding=1) for c, finer in pairwise(coarse_to_fine)
        )
        self.merges = nn.ModuleList(nn.Conv2d(2 * c, c, 1) for c in (half, full))
        self.endings = nn.ModuleList(nn.Conv2d(c, 3, 3, padding=1) for c in coarse_to_fine)
        for ending in self.endings:
            nn.init.zeros_(cast(Tensor, ending.weight))
            nn.init.zeros_(cast(Tensor, ending.bias))
        # Created last, so that the network without a prior has the same random weights.
        self.prior = PriorSource(config.prior, self.decoder_scales)
        self.embeddings = build_embeddings(config.prior, self.decoder_scales)

    @property
    def multiple_of(self) -> int:
        """The multiple to which heights and widths are padded."""
        return 4

    @property
    def decoder_scales(self) -> tuple[DecoderScale, ...]:
        """The scales of the decoder, coarsest first."""
        full, half, quarter = self.config.channels
        return (
            DecoderScale(stride_px=4, channels=quarter),
            DecoderScale(stride_px=2, channels=half),
            DecoderScale(stride_px=1, channels=full),
        )

    def forward(self, blurry: Tensor) -> Tensor:
        return self.restore_all(blurry)[-1]

    def restore_all(self, blurry: Tensor) -> list[Tensor]:
        """Restore the photograph at a quarter, half and full size, sides rounded up. See `MultiOutput`."""
        whole = pad_to_multiple(blurry, self.multiple_of)
        corrections = self.decode(self.encode(whole), self.prior(whole))
        restored = []
        for stride, correction in zip((4, 2, 1), corrections, strict=True):
            # Nearest neighbours, as in the authors' network.
            smaller = blurry[..., ::stride, ::stride]
            height, width = smaller.shape[2:]
            restored.append(smaller + correction[..., :height, :width].to(blurry.dtype))
        return restored

    def encode(self, blurry: Tensor) -> list[Tensor]:
        """Compute features at strides 1, 2 and 4."""
        features = [self.encoders[0](self.intro(blurry).relu())]
        for level, stride in ((1, 2), (2, 4)):
            shallow = self.shallow[level - 1](blurry[..., ::stride, ::stride])
            x = self.downs[level - 1](features[-1]).relu()
            features.append(self.encoders[level](self.attentions[level - 1](x, shallow)))
        return features

    def decode(self, features: list[Tensor], priors: list[Tensor | None]) -> list[Tensor]:
        """Compute corrections at a quarter, half and full size, (B, 3, ...) each, from features and the priors."""
        full, half, quarter = features
        quarter_doubled = F.interpolate(quarter, scale_factor=2.0)
        skips = (
            None,
            self.dropout(self.fusions[1](full[..., ::2, ::2], half, quarter_doubled)),
            self.dropout(
                self.fusions[0](
                    full, F.interpolate(half, scale_factor=2.0), F.interpolate(quarter_doubled, scale_factor=2.0)
                )
            ),
        )
        x = quarter
        corrections = []
        for level, (skip, prior) in enumerate(zip(skips, priors, strict=True)):
            if skip is not None:
                x = self.ups[level - 1](x).relu()
                x = self.merges[level - 1](torch.cat((x, skip), dim=1)).relu()
            x = self.decoders[level](self.embeddings[level](x, prior))
            corrections.append(self.endings[level](x))
        return corrections
