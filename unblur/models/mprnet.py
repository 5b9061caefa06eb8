"""MPRNet: three networks in a row, each of which gets the photograph again and passes on its features.

One idea: two U-shaped stages compute context from quarters and halves of the photograph, and a third stage at full size
restores the detail. Each stage restores, so each has a loss of its own.

Source: "Multi-Stage Progressive Image Restoration" (Zamir et al. 2021, arXiv 2102.02808). The defaults are its
deblurring network. Differences: any size, by edge replication; every block has a PReLU slope of its own where the
authors share one slope among all blocks (54 parameters of 20 million); layers that end in a picture begin at zero,
so that training begins at the identity in all stages; quarters and halves go through a stage as one batch, and 1x1
convolutions are applied before upsampling instead of after, which gives the same numbers in less time.

Tiles: channel means are `ChannelMean`, so they can be made local. The first stage still cuts its input into quarters
and the second into halves; the cuts of a tile lie elsewhere than those of the whole photograph, so a tile equals the
whole only beyond the receptive field of the convolutions from both.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.host import DecoderScale
from unblur.models.padding import pad_to_multiple
from unblur.models.pooling import ChannelMean
from unblur.models.spe import PriorConfig, PriorSource, build_embeddings


@dataclass(frozen=True, kw_only=True)
class MPRNetConfig:
    """Sizes of an MPRNet."""

    width: int = 96
    """Channels at full size in the first two stages."""
    widening: int = 48
    """Channels added at half and again at quarter size."""
    detail_widening: int = 32
    """Channels added in the third stage."""
    detail_blocks: int = 8
    """Channel attention blocks in each of the third stage's three groups."""
    reduction: int = 4
    """Reduction of channels in the middle of channel attention."""
    prior: PriorConfig | None = None
    """The semantic prior that conditions the decoder; None for a network without one."""

    def __post_init__(self) -> None:
        if self.reduction < 1 or self.width < self.reduction or self.detail_blocks < 1:
            raise ValueError(f"reduction and detail_blocks must be positive, width at least reduction: {self}")
        if self.widening < 0 or self.detail_widening < 0:
            raise ValueError(f"stages widen by 0 channels or more: {self}")

    @property
    def channels(self) -> tuple[int, int, int]:
        """Return the channels at strides 1, 2 and 4 in the first two stages."""
        return self.width, self.width + self.widening, self.width + 2 * self.widening


def _pointwise(channels_in: int, channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels, 1, bias=False)


def _convolution(channels_in: int, channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)


class ChannelAttention(nn.Module):
    """Channels scaled by factors from 0 to 1 that depend on their means. Shape: (B, C, H, W) -> same."""

    def __init__(self, channels: int, reduction: int, stride_px: int) -> None:
        super().__init__()
        self.mean = ChannelMean(stride_px)
        self.reduce = _pointwise(channels, channels // reduction)
        self.expand = _pointwise(channels // reduction, channels)

    def forward(self, x: Tensor) -> Tensor:
        scale: Tensor = self.expand(self.reduce(self.mean(x)).relu())
        return x * scale.sigmoid()


class ChannelAttentionBlock(nn.Module):
    """Two 3x3 convolutions with channel attention, added to their input (CAB). Shape: (B, C, H, W) -> same."""

    def __init__(self, channels: int, reduction: int, stride_px: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels)
        self.activation = nn.PReLU()
        self.second = _convolution(channels, channels)
        self.attention = ChannelAttention(channels, reduction, stride_px)

    def forward(self, x: Tensor) -> Tensor:
        correction: Tensor = self.attention(self.second(self.activation(self.first(x))))
        return x + correction


def _make_blocks(channels: int, count: int, reduction: int, stride_px: int) -> nn.Sequential:
    return nn.Sequential(*(ChannelAttentionBlock(channels, reduction, stride_px) for _ in range(count)))


class Encoder(nn.Module):
    """Features at strides 1, 2 and 4; a later stage adds those of the stage before it (the paper's CSFF)."""

    def __init__(self, config: MPRNetConfig, *, follows: bool) -> None:
        super().__init__()
        self.levels = nn.ModuleList(_make_blocks(c, 2, config.reduction, 2**i) for i, c in enumerate(config.channels))
        self.downs = nn.ModuleList(_pointwise(c, coarser) for c, coarser in pairwise(config.channels))
        channels = config.channels if follows else ()
        self.from_encoder = nn.ModuleList(_pointwise(c, c) for c in channels)
        self.from_decoder = nn.ModuleList(_pointwise(c, c) for c in channels)

    def forward(
        self, x: Tensor, encoded: list[Tensor] | None = None, decoded: list[Tensor] | None = None
    ) -> list[Tensor]:
        """Encode (B, C, H, W), with the features of the stage before if there is one; return features, finest first."""
        features: list[Tensor] = []
        for index, level in enumerate(self.levels):
            # The mean of 2 x 2 is what bilinear interpolation to half the size gives.
            x = level(self.downs[index - 1](F.avg_pool2d(features[-1], 2)) if index else x)
            if encoded is not None and decoded is not None:
                x = x + self.from_encoder[index](encoded[index]) + self.from_decoder[index](decoded[index])
            features.append(x)
        return features


class Decoder(nn.Module):
    """Decoder of features at strides 1, 2 and 4, into as many; the outputs of the prior come coarsest first."""

    def __init__(self, config: MPRNetConfig) -> None:
        super().__init__()
        coarse_to_fine = [(c, 2**i) for i, c in enumerate(config.channels)][::-1]
        self.levels = nn.ModuleList(_make_blocks(c, 2, config.reduction, stride) for c, stride in coarse_to_fine)
        self.skips = nn.ModuleList(_make_blocks(c, 1, config.reduction, stride) for c, stride in coarse_to_fine[1:])
        self.ups = nn.ModuleList(_pointwise(c, finer) for (c, _), (finer, _) in pairwise(coarse_to_fine))

    def forward(self, features: list[Tensor], embed: nn.ModuleList, priors: list[Tensor | None]) -> list[Tensor]:
        x = features[-1]
        decoded: list[Tensor] = []
        for index, level in enumerate(self.levels):
            if index:
                x = _upsample_2x(self.ups[index - 1](x)) + self.skips[index - 1](features[-1 - index])
            x = level(embed[index](x, priors[index]))
            decoded.insert(0, x)
        return decoded


class SupervisedAttention(nn.Module):
    """The restoration of a stage, and its features scaled by attention to that restoration (the paper's SAM)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = _pointwise(channels, channels)
        self.ending = _pointwise(channels, 3)
        self.attend = _pointwise(3, channels)
        nn.init.zeros_(self.ending.weight)

    def forward(self, x: Tensor, blurry: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features for the next stage, (B, C, H, W), and the restored image, (B, 3, H, W)."""
        restored = blurry + self.ending(x).to(blurry.dtype)
        return x + self.mix(x) * self.attend(restored).sigmoid(), restored


class DetailGroup(nn.Module):
    """Blocks at full size, then features of the stage before at one of its strides (ORB and its fusion)."""

    def __init__(self, config: MPRNetConfig, stride_px: int) -> None:
        super().__init__()
        channels = config.width + config.detail_widening
        self.blocks = _make_blocks(channels, config.detail_blocks, config.reduction, 1)
        self.mix = _convolution(channels, channels)
        finer = [c for i, c in enumerate(config.channels) if 2**i <= stride_px][::-1]
        self.ups_encoded = nn.ModuleList(_pointwise(c, finer_c) for c, finer_c in pairwise(finer))
        self.ups_decoded = nn.ModuleList(_pointwise(c, finer_c) for c, finer_c in pairwise(finer))
        self.from_encoder = _pointwise(config.width, channels)
        self.from_decoder = _pointwise(config.width, channels)

    def forward(self, x: Tensor, encoded: Tensor, decoded: Tensor) -> Tensor:
        for up_encoded, up_decoded in zip(self.ups_encoded, self.ups_decoded, strict=True):
            encoded, decoded = _upsample_2x(up_encoded(encoded)), _upsample_2x(up_decoded(decoded))
        correction: Tensor = self.mix(self.blocks(x)) + self.from_encoder(encoded) + self.from_decoder(decoded)
        return x + correction


class MPRNet(nn.Module):
    """Network that restores a blurry photograph. Shape: (B, 3, H, W) RGB in [0, 1] -> same, any H and W.

    The output is not clipped. `restore_all` returns the restorations of all three stages.
    """

    def __init__(self, config: MPRNetConfig) -> None:
        super().__init__()
        self.config = config
        width, detail = config.width, config.width + config.detail_widening
        self.intros = nn.ModuleList(
            nn.Sequential(_convolution(3, width), ChannelAttentionBlock(width, config.reduction, 1)) for _ in range(3)
        )
        self.encoder1, self.decoder1 = Encoder(config, follows=False), Decoder(config)
        self.attention1 = SupervisedAttention(width)
        self.merge2 = _convolution(2 * width, width)
        self.encoder2, self.decoder2 = Encoder(config, follows=True), Decoder(config)
        self.attention2 = SupervisedAttention(width)
        self.merge3 = _convolution(2 * width, detail)
        self.details = nn.ModuleList(DetailGroup(config, stride_px) for stride_px in (1, 2, 4))
        self.ending = _convolution(detail, 3)
        nn.init.zeros_(self.ending.weight)
        # Created last, so that the network without a prior has the same random weights.
        self.prior = PriorSource(config.prior, self.decoder_scales)
        self.embeddings = nn.ModuleList(build_embeddings(config.prior, self.decoder_scales) for _ in range(2))

    @property
    def multiple_of(self) -> int:
        """The multiple to which heights and widths are padded: strides reach 4 in quarters of the photograph."""
        return 8

    @property
    def decoder_scales(self) -> tuple[DecoderScale, ...]:
        """The scales of the decoder, coarsest first, in the first stage as in the second.

        The first stage decodes halves, one above the other in the batch: a prior must be cut like them (`halved`).
        """
        strided = list(enumerate(self.config.channels))
        return tuple(DecoderScale(stride_px=2**level, channels=channels) for level, channels in reversed(strided))

    def forward(self, blurry: Tensor) -> Tensor:
        return self.restore_all(blurry)[-1]

    def restore_all(self, blurry: Tensor) -> list[Tensor]:
        """Restore the photograph by the first, second and third stage, each at full size. See `MultiOutput`."""
        height, width = blurry.shape[2:]
        whole = pad_to_multiple(blurry, self.multiple_of)
        halves = split_in_halves(whole, 2)
        priors = self.prior(whole)

        # Stage 1: quarters are encoded, halves decoded.
        encoded = [join_halves(x, 3) for x in self.encoder1(self.intros[0](split_in_halves(halves, 3)))]
        decoded = self.decoder1(
            encoded, self.embeddings[0], [None if prior is None else split_in_halves(prior, 2) for prior in priors]
        )
        handed_on, restored1 = self.attention1(decoded[0], halves)

        # Stage 2: halves are encoded, the whole decoded.
        x = self.merge2(torch.cat((self.intros[1](halves), handed_on), dim=1))
        encoded = [join_halves(x, 2) for x in self.encoder2(x, encoded, decoded)]
        decoded = self.decoder2(encoded, self.embeddings[1], priors)
        handed_on, restored2 = self.attention2(decoded[0], whole)

        # Stage 3: the whole, at full size.
        x = self.merge3(torch.cat((self.intros[2](whole), handed_on), dim=1))
        for detail, from_encoder, from_decoder in zip(self.details, encoded, decoded, strict=True):
            x = detail(x, from_encoder, from_decoder)
        restored3 = whole + self.ending(x).to(blurry.dtype)

        return [restored[..., :height, :width] for restored in (join_halves(restored1, 2), restored2, restored3)]


def split_in_halves(x: Tensor, dim: int) -> Tensor:
    """Split along `dim` into halves that follow each other in the batch.

    Shape: e. g. (B, C, H, W) -> (2 B, C, H / 2, W).
    """
    return torch.cat(x.chunk(2, dim=dim))


def join_halves(x: Tensor, dim: int) -> Tensor:
    """Undo `split_in_halves`."""
    return torch.cat(x.chunk(2), dim=dim)


def _upsample_2x(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
