"""A plain residual U-Net, a host without other parts that could explain the effect of a prior.

One idea: a U shape with skip connections, made of the simplest block that is known to deblur.

Sources: U-Net (Ronneberger et al. 2015, arXiv 1505.04597) for the shape; DeepDeblur (Nah et al. 2017, arXiv
1612.02177) for residual blocks without normalisation. "Take a Prior from Other Tasks for Severe Blur Removal" (arXiv
2302.06898) names a UNet as a host; which one is not known to us, and these sizes are ours. Differences from U-Net:
padded convolutions, so that nothing is cropped; strided instead of max-pooled; 1x1 convolutions merge the skip
connections; the network learns the correction, not the photograph; and two options that make it a fast network: the
stem of our NAFNet, and convolutions that are trained as two (SESR, Bhardwaj et al. 2021, arXiv 2103.09404).
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
class UNetConfig:
    """Sizes of a UNet."""

    channels: tuple[int, ...] = (32, 64, 128, 256)
    """Channels at strides 1, 2, 4 and so on, each times `stem_stride`."""
    blocks: int = 4
    """Residual blocks at each stride: of the encoder and, except at the coarsest stride, of the decoder."""
    stem_stride: int = 1
    """Side of the pixel square folded into channels before the first convolution."""
    expanded: int | None = None
    """Channels between the two convolutions as which each convolution of the blocks is trained; None for plain ones."""
    prior: PriorConfig | None = None
    """The semantic prior that conditions the decoder; None for a network without one."""

    def __post_init__(self) -> None:
        if len(self.channels) < 2 or min(self.channels) < 1 or self.blocks < 1 or self.stem_stride < 1:
            raise ValueError(f"a UNet needs two strides at least, channels and blocks: {self}")
        if self.expanded is not None and self.expanded < 1:
            raise ValueError(f"convolutions trained as two need channels between them: {self}")


class UNet(nn.Module):
    """Network that restores a blurry photograph. Shape: (B, 3, H, W) RGB in [0, 1] -> same, any H and W.

    The output is not clipped. Training begins at the identity. A tile equals the whole beyond the reach of the
    convolutions.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        finest, coarsest = config.channels[0], config.channels[-1]
        pixels = 3 * config.stem_stride**2
        self.intro = nn.Conv2d(pixels, finest, 3, padding=1)
        self.encoders, self.downs = nn.ModuleList(), nn.ModuleList()
        for channels, coarser in pairwise(config.channels):
            self.encoders.append(build_residual_blocks(channels, config.blocks, config.expanded))
            self.downs.append(nn.Conv2d(channels, coarser, 3, stride=2, padding=1))
        self.middle = build_residual_blocks(coarsest, config.blocks, config.expanded)
        self.ups, self.merges, self.decoders = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for channels, finer in pairwise(reversed(config.channels)):
            self.ups.append(nn.ConvTranspose2d(channels, finer, 2, stride=2))
            self.merges.append(nn.Conv2d(2 * finer, finer, 1))
            self.decoders.append(build_residual_blocks(finer, config.blocks, config.expanded))
        self.ending = nn.Conv2d(finest, pixels, 3, padding=1)
        nn.init.zeros_(self.ending.weight)
        nn.init.zeros_(cast(Tensor, self.ending.bias))
        # Created last, so that the network without a prior has the same random weights.
        self.prior = PriorSource(config.prior, self.decoder_scales)
        self.embeddings = build_embeddings(config.prior, self.decoder_scales)

    @property
    def multiple_of(self) -> int:
        """The multiple to which heights and widths are padded."""
        return int(self.config.stem_stride * 2 ** (len(self.config.channels) - 1))

    @property
    def decoder_scales(self) -> tuple[DecoderScale, ...]:
        """The scales of the decoder, coarsest first."""
        strided = enumerate(self.config.channels[:-1])
        finest = self.config.stem_stride
        return tuple(DecoderScale(stride_px=finest * 2**level, channels=channels) for level, channels in strided)[::-1]

    def forward(self, blurry: Tensor) -> Tensor:
        height, width = blurry.shape[2:]
        whole = pad_to_multiple(blurry, self.multiple_of)
        correction = self.decode(self.encode(whole), self.prior(whole))
        return blurry + correction[..., :height, :width].to(blurry.dtype)

    def encode(self, blurry: Tensor) -> list[Tensor]:
        """Compute features at every stride, finest first."""
        x = self.intro(F.pixel_unshuffle(blurry, self.config.stem_stride))
        features = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x)
            features.append(x)
            x = down(x).relu()
        return [*features, self.middle(x)]

    def decode(self, features: list[Tensor], priors: list[Tensor | None]) -> Tensor:
        """Compute the correction to the blurry photograph. Shape: features of `encode`, `prior`'s -> (B, 3, H, W)."""
        x = features[-1]
        skips = reversed(features[:-1])
        layers = zip(self.ups, self.merges, self.embeddings, self.decoders, strict=True)
        for (up, merge, embed, decoder), skip, prior in zip(layers, skips, priors, strict=True):
            x = merge(torch.cat((up(x), skip), dim=1)).relu()
            x = decoder(embed(x, prior))
        return F.pixel_shuffle(self.ending(x), self.config.stem_stride)
