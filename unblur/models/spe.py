"""Semantic prior embedding (SPE): conditions the decoder of a restoring network on features of a classifier.

One idea: at each decoder scale, every position weighs the levels of the prior, the channels of the host attend to the
channels of the result, and what they attend to scales and shifts the host's features.

Source: "Take a Prior from Other Tasks for Severe Blur Removal" (Wang et al. 2023, arXiv 2302.06898) names the layer
and its two parts, multi-level aggregation and semantic attention transformation, and says that it plugs into mainstream
networks. Its equations are not known to us; these are inferred: a softmax over levels at each position for the first
part; for the second, attention between channels as in Restormer (Zamir et al. 2022, arXiv 2111.09881), with queries
from the host and keys and values from the prior, then spatial scale and shift (SFT, Wang et al. 2018, arXiv
1804.02815). A last scale for each channel begins at zero, so plugging the layer in changes nothing, bit for bit.

Tiles: the similarity of two channels is a mean over positions. `use_local_pooling` limits it to a window around each
position, as it limits every other mean, so that a tile equals the whole beyond the reach of window and convolutions.
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
"""Lower bound of the mean square of a channel, so that the cosine with a channel of zeros is zero."""


@dataclass(frozen=True, kw_only=True)
class PriorConfig:
    """Settings of a semantic prior in a restoring network."""

    network: SemanticPriorConfig = SemanticPriorConfig()
    """The network of the prior. Its weights are frozen and part of the host's checkpoint: 6.5 MB for the default."""
    scales: int = 2
    """Number of the host's decoder scales that are conditioned, from the coarsest."""
    channels: int = 64
    """Channels of the aggregated prior at each of these scales."""
    heads: int = 8
    """Groups of channels, each with an attention of its own."""
    only_stride_px: int | None = None
    """The stride of the only level of the prior that is used; None uses all of them. An ablation."""
    attention: bool = True
    """Whether channels attend to the prior before it scales and shifts them. Without it is an ablation."""

    def __post_init__(self) -> None:
        if self.scales < 1 or self.heads < 1 or self.channels < self.heads or self.channels % self.heads:
            raise ValueError(f"scales, channels and heads must be positive, and channels divide among heads: {self}")


class MultiLevelAggregation(nn.Module):
    """Weighted mean of the prior's levels at each position of a decoder scale. Shape: levels -> (B, C, H / s, W / s).

    A single level is not weighted.
    """

    def __init__(self, levels: tuple[FeatureLevel, ...], channels: int, stride_px: int) -> None:
        super().__init__()
        self.strides_px, self.stride_px = tuple(level.stride_px for level in levels), stride_px
        # Levels differ in magnitude much more than in information.
        self.norms = nn.ModuleList(ChannelLayerNorm(level.channels, eps=1e-6) for level in levels)
        self.reduce = nn.ModuleList(nn.Conv2d(level.channels, channels, 1) for level in levels)
        self.weigh = nn.Conv2d(len(levels) * channels, len(levels), 1) if len(levels) > 1 else None
        self.mix = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        reduced = [
            _resample_to_stride(reduce(norm(feature)), stride_px, self.stride_px)
            for norm, reduce, feature, stride_px in zip(self.norms, self.reduce, features, self.strides_px, strict=True)
        ]
        if self.weigh is not None:
            weights = self.weigh(torch.cat(reduced, dim=1)).softmax(dim=1)
            reduced = [level * weights[:, index : index + 1] for index, level in enumerate(reduced)]
        mixed: Tensor = self.mix(torch.stack(reduced).sum(dim=0))
        return mixed


class SemanticAttention(nn.Module):
    """Scaling and shifting of the host's features by attention to the prior (semantic attention transformation).

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
        attended = self.attend(self.query(self.norm(x)), self.key(prior), self.value(prior))
        scale, shift = self.modulate(torch.cat((attended, prior), dim=1)).chunk(2, dim=1)
        correction: Tensor = self.strength * (x * scale + shift)
        return x + correction.to(x.dtype)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend from channels to channels. Shape: (B, P, H, W) each -> same."""
        # Head by head, because local means make a table of similarities for every position.
        heads = zip(*(part.float().chunk(self.heads, dim=1) for part in (query, key, value)), strict=True)
        mixed = []
        for temperature, (head_query, head_key, head_value) in zip(self.temperature, heads, strict=True):
            weights = (temperature * self.similarity(head_query, head_key)).softmax(dim=2)
            mixed.append(torch.einsum("bijhw,bjhw->bihw", weights, head_value))
        return torch.cat(mixed, dim=1).to(value.dtype)

    def similarity(self, query: Tensor, key: Tensor) -> Tensor:
        """Return the cosine of every two channels, (B, C, H, W) each -> (B, C, C, 1, 1) or (B, C, C, H, W)."""
        channels = query.shape[1]
        if self.mean.window_px is None:
            products = torch.einsum("bihw,bjhw->bij", query, key)[..., None, None]
            products = products / (query.shape[2] * query.shape[3])
        else:
            table = (query[:, :, None] * key[:, None]).flatten(1, 2)
            products = self.mean(table).unflatten(1, (channels, channels))
        lengths = [self.mean(part.square()).clamp(min=SHORTEST).sqrt() for part in (query, key)]
        cosine: Tensor = products / (lengths[0][:, :, None] * lengths[1][:, None])
        return cosine


class PlainModulation(nn.Module):
    """Scaling and shifting of the host's features by the prior alone: an ablation of `SemanticAttention`.

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
    """Identity in place of an embedding, for a decoder scale without a prior."""

    def forward(self, x: Tensor, _prior: None) -> Tensor:
        return x


class PriorSource(nn.Module):
    """Network that computes the prior for each decoder scale of a host, with None for scales that have none.

    Shape: (B, 3, H, W) sRGB in [0, 1], padded to the host's multiple -> (B, P, H / s, W / s) at stride s.
    """

    def __init__(self, config: PriorConfig | None, scales: tuple[DecoderScale, ...]) -> None:
        """Take the decoder scales of the host, coarsest first. Raises UnblurError if the prior does not fit them."""
        super().__init__()
        conditioned = () if config is None else scales[: config.scales]
        if any(FEATURE_GRID_PX % scale.stride_px for scale in conditioned):
            raise UnblurError(
                f"A prior needs decoder scales at strides of 1, 2, 4, 8, 16 or 32 px, not {conditioned[0].stride_px}; "
                "change the strides or leave out the prior."
            )
        self.num_unconditioned = len(scales) - len(conditioned)
        self.strides_px = tuple(scale.stride_px for scale in conditioned)
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
            for scale in conditioned:
                self.aggregations.append(MultiLevelAggregation(chosen, config.channels, scale.stride_px))

    def forward(self, blurry: Tensor) -> list[Tensor | None]:
        priors: list[Tensor | None] = []
        if self.student is not None:
            with torch.no_grad():
                levels = self.student(blurry)
            features = [levels[index] for index in self.chosen]
            for stride_px, aggregation in zip(self.strides_px, self.aggregations, strict=True):
                height, width = (side // stride_px for side in blurry.shape[2:])
                priors.append(aggregation(features)[..., :height, :width])
        return priors + [None] * self.num_unconditioned


def build_embeddings(config: PriorConfig | None, scales: tuple[DecoderScale, ...]) -> nn.ModuleList:
    """Build one module for each decoder scale, coarsest first: `module(x, prior) -> x`."""
    if config is None:
        return nn.ModuleList(Untouched() for _ in scales)
    embedding = SemanticAttention if config.attention else PlainModulation
    return nn.ModuleList(
        embedding(scale, config) if index < config.scales else Untouched() for index, scale in enumerate(scales)
    )


def _resample_to_stride(x: Tensor, stride_px: int, wanted_px: int) -> Tensor:
    """Resample `x` from a stride of `stride_px` to `wanted_px`; positions stay aligned."""
    if wanted_px > stride_px:
        return F.avg_pool2d(x, wanted_px // stride_px)
    if wanted_px < stride_px:
        return F.interpolate(x, scale_factor=float(stride_px // wanted_px), mode="bilinear", align_corners=False)
    return x
