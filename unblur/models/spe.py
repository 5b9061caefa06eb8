"""Semantic prior embedding (SPE): how a network that restores is told what the photograph shows.

One idea: at each decoder scale, every place picks from the prior's levels what it needs, channels of the host's
features pick from that what resembles them, and the result scales and shifts the host's features.

Source: "Take a Prior from Other Tasks for Severe Blur Removal" (Wang et al. 2023, arXiv 2302.06898) names the layer
and its two parts, multi-level aggregation and semantic attention transformation, and says that it plugs into mainstream
networks. Its equations are not known to us; these are inferred: a softmax over levels at each position for the first
part; for the second, attention between channels as in Restormer (Zamir et al. 2022, arXiv 2111.09881), with queries
from the host and keys and values from the prior, then spatial scale and shift (SFT, Wang et al. 2018, arXiv
1804.02815). A last scale for each channel begins at zero, so plugging the layer in changes nothing, bit for bit.

Tiles: the resemblance of two channels is a mean over positions. `use_local_pooling` limits it to a window around each
position, as it limits every other mean, so that a tile gives what the whole gives beyond the reach of window and
convolutions.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.models.features import FEATURE_GRID_PX, FeatureLevel
from unblur.models.host import DecoderScale
from unblur.models.layer_norm import ChannelLayerNorm
from unblur.models.pooling import ChannelMean
from unblur.models.semantic_prior import SemanticPrior, SemanticPriorConfig

SHORTEST = 1e-6
"""Mean squares of channels are taken to be at least this: a channel of zeros resembles nothing."""


@dataclass(frozen=True, kw_only=True)
class PriorConfig:
    """A semantic prior plugged into a network that restores."""

    network: SemanticPriorConfig = SemanticPriorConfig()
    """What tells the prior. Its weights are frozen and part of the host's checkpoint: 6.5 MB more for the default."""
    scales: int = 2
    """How many of the host's decoder scales are told, the coarsest first."""
    channels: int = 64
    """Of the aggregated prior at each of these scales."""
    heads: int = 8
    """Groups of channels that are compared among themselves."""
    only_stride_px: int | None = None
    """The one level of the prior that is told, by its stride; None for all of them. An ablation."""
    attention: bool = True
    """Whether channels attend to the prior before it scales and shifts them. Without it is an ablation."""

    def __post_init__(self) -> None:
        if self.scales < 1 or self.heads < 1 or self.channels < self.heads or self.channels % self.heads:
            raise ValueError(f"scales, channels and heads must be positive, and channels divide among heads: {self}")


class MultiLevelAggregation(nn.Module):
    """The prior at one decoder scale, each place weighing the levels. Shape: levels -> (B, C, H / s, W / s).

    A level alone is not weighed.
    """

    def __init__(self, levels: tuple[FeatureLevel, ...], channels: int, stride_px: int) -> None:
        super().__init__()
        self.strides_px, self.stride_px = tuple(level.stride_px for level in levels), stride_px
        # Features of different levels differ in size by far more than in what they say.
        self.norms = nn.ModuleList(ChannelLayerNorm(level.channels, eps=1e-6) for level in levels)
        self.reduce = nn.ModuleList(nn.Conv2d(level.channels, channels, 1) for level in levels)
        self.weigh = nn.Conv2d(len(levels) * channels, len(levels), 1) if len(levels) > 1 else None
        self.mix = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        reduced = [
            _at_stride(reduce(norm(feature)), stride_px, self.stride_px)
            for norm, reduce, feature, stride_px in zip(self.norms, self.reduce, features, self.strides_px, strict=True)
        ]
        if self.weigh is not None:
            weights = self.weigh(torch.cat(reduced, dim=1)).softmax(dim=1)
            reduced = [level * weights[:, index : index + 1] for index, level in enumerate(reduced)]
        mixed: Tensor = self.mix(torch.stack(reduced).sum(dim=0))
        return mixed


class SemanticAttention(nn.Module):
    """The host's features, scaled and shifted as the prior suggests (semantic attention transformation).

    Shape: (B, C, H, W) and the prior (B, P, H, W) -> (B, C, H, W).
    """

    def __init__(self, scale: DecoderScale, config: PriorConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm = ChannelLayerNorm(scale.channels, eps=1e-6)
        self.query = nn.Conv2d(scale.channels, config.channels, 1)
        self.key = nn.Conv2d(config.channels, config.channels, 1)
        self.value = nn.Conv2d(config.channels, config.channels, 1)
        self.mean = ChannelMean(scale.stride_px)
        self.temperature = nn.Parameter(torch.ones(config.heads))
        self.modulate = nn.Conv2d(2 * config.channels, 2 * scale.channels, 3, padding=1)
        self.strength = nn.Parameter(torch.zeros(1, scale.channels, 1, 1))

    def forward(self, x: Tensor, prior: Tensor) -> Tensor:
        attended = self.attended(self.query(self.norm(x)), self.key(prior), self.value(prior))
        scale, shift = self.modulate(torch.cat((attended, prior), dim=1)).chunk(2, dim=1)
        correction: Tensor = self.strength * (x * scale + shift)
        return x + correction.to(x.dtype)

    def attended(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Values of the channels that resemble the query's, mixed. Shape: (B, P, H, W) each -> same."""
        # Head by head: with local means there is a table of resemblances for every position.
        heads = zip(*(part.float().chunk(self.heads, dim=1) for part in (query, key, value)), strict=True)
        mixed = []
        for temperature, (asked, offered, content) in zip(self.temperature, heads, strict=True):
            weights = (temperature * self.resemblance(asked, offered)).softmax(dim=2)
            mixed.append(torch.einsum("bijhw,bjhw->bihw", weights, content))
        return torch.cat(mixed, dim=1).to(value.dtype)

    def resemblance(self, asked: Tensor, offered: Tensor) -> Tensor:
        """Cosine of the angle between every two channels, (B, C, H, W) each -> (B, C, C, 1, 1) or (B, C, C, H, W)."""
        channels = asked.shape[1]
        if self.mean.window_px is None:
            products = torch.einsum("bihw,bjhw->bij", asked, offered)[..., None, None]
            products = products / (asked.shape[2] * asked.shape[3])
        else:
            table = (asked[:, :, None] * offered[:, None]).flatten(1, 2)
            products = self.mean(table).unflatten(1, (channels, channels))
        lengths = [self.mean(part.square()).clamp(min=SHORTEST).sqrt() for part in (asked, offered)]
        cosine: Tensor = products / (lengths[0][:, :, None] * lengths[1][:, None])
        return cosine


class PlainModulation(nn.Module):
    """The host's features, scaled and shifted as the prior says by itself: `SemanticAttention` without attention.

    Shape: (B, C, H, W) and the prior (B, P, H, W) -> (B, C, H, W).
    """

    def __init__(self, scale: DecoderScale, config: PriorConfig) -> None:
        super().__init__()
        self.modulate = nn.Conv2d(config.channels, 2 * scale.channels, 3, padding=1)
        self.strength = nn.Parameter(torch.zeros(1, scale.channels, 1, 1))

    def forward(self, x: Tensor, prior: Tensor) -> Tensor:
        scale, shift = self.modulate(prior).chunk(2, dim=1)
        correction: Tensor = self.strength * (x * scale + shift)
        return x + correction.to(x.dtype)


class Untouched(nn.Module):
    """A decoder scale that no prior is told."""

    def forward(self, x: Tensor, _prior: None) -> Tensor:
        return x


class PriorSource(nn.Module):
    """What a host's decoder is told at each of its scales: one entry for each, None where it is told nothing.

    Shape: (B, 3, H, W) sRGB in [0, 1], padded to the host's multiple -> (B, P, H / s, W / s) at stride s.
    """

    def __init__(self, config: PriorConfig | None, scales: tuple[DecoderScale, ...]) -> None:
        """`scales`: the host's, coarsest first. Raises UnblurError where a prior does not fit them."""
        super().__init__()
        told = () if config is None else scales[: config.scales]
        if any(FEATURE_GRID_PX % scale.stride_px for scale in told):
            raise UnblurError(
                f"A prior needs decoder scales at strides of 1, 2, 4, 8, 16 or 32 px, not {told[0].stride_px}; "
                "change the strides or leave out the prior."
            )
        self.untold = len(scales) - len(told)
        self.strides_px = tuple(scale.stride_px for scale in told)
        self.student: SemanticPrior | None = None
        self.aggregations = nn.ModuleList()
        self.chosen: list[int] = []
        if config is not None:
            self.student = SemanticPrior(config.network).requires_grad_(False)
            levels = self.student.levels
            only_px = config.only_stride_px
            self.chosen = [index for index, level in enumerate(levels) if only_px in (None, level.stride_px)]
            if not self.chosen:
                strides = ", ".join(str(level.stride_px) for level in levels)
                raise UnblurError(f"The prior has no level at a stride of {only_px} px; its strides are {strides}.")
            chosen = tuple(levels[index] for index in self.chosen)
            for scale in told:
                self.aggregations.append(MultiLevelAggregation(chosen, config.channels, scale.stride_px))

    def forward(self, blurry: Tensor) -> list[Tensor | None]:
        told: list[Tensor | None] = []
        if self.student is not None:
            with torch.no_grad():
                answers = self.student(blurry)
            features = [answers[index] for index in self.chosen]
            for stride_px, aggregation in zip(self.strides_px, self.aggregations, strict=True):
                height, width = (side // stride_px for side in blurry.shape[2:])
                told.append(aggregation(features)[..., :height, :width])
        return told + [None] * self.untold


def embeddings(config: PriorConfig | None, scales: tuple[DecoderScale, ...]) -> nn.ModuleList:
    """What to pass features and prior through at each decoder scale, coarsest first: `module(x, prior) -> x`."""
    if config is None:
        return nn.ModuleList(Untouched() for _ in scales)
    embedding = SemanticAttention if config.attention else PlainModulation
    return nn.ModuleList(
        embedding(scale, config) if index < config.scales else Untouched() for index, scale in enumerate(scales)
    )


def _at_stride(x: Tensor, stride_px: int, wanted_px: int) -> Tensor:
    """`x` with a position for every `wanted_px` pixels instead of every `stride_px`; places stay where they are."""
    if wanted_px > stride_px:
        return F.avg_pool2d(x, wanted_px // stride_px)
    if wanted_px < stride_px:
        return F.interpolate(x, scale_factor=float(stride_px // wanted_px), mode="bilinear", align_corners=False)
    return x
