"""Semantic guidance: what the photograph shows, told by words or, where there are none, by the semantic prior.

Sources: GLOWDeblur (arXiv 2601.06525) tells its denoiser a caption by a vision-language model, whose text encoder is
not named. The tokens that take its place where there is no caption are ours: regions of the photograph as the
semantic prior sees them (`unblur.models.semantic_prior`), a fixed number of them, so that asking them costs as
much per pixel in a large photograph as in a small one.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.semantic_prior import SemanticPrior, SemanticPriorConfig
from unblur.models.tokens import Tokens


@dataclass(frozen=True, kw_only=True)
class SemanticGuidanceConfig:
    """Sizes of semantic guidance."""

    prior: SemanticPriorConfig = SemanticPriorConfig(two_pass=True)
    """What sees the photograph, and what was restored of it. Its weights are frozen and part of the checkpoint."""
    regions: int = 8
    """Rows and columns that the photograph is cut into; each region is a token."""

    def __post_init__(self) -> None:
        if self.regions < 1:
            raise ValueError(f"a photograph has at least one region: {self}")


class SemanticGuidance(nn.Module):
    """Tokens of a blurry photograph and of what is restored of it.

    Shape: (B, 3, H, W) sRGB in [0, 1] twice -> (B, regions squared, `channels`).
    """

    def __init__(self, config: SemanticGuidanceConfig, channels: int) -> None:
        super().__init__()
        self.regions = config.regions
        self.prior = SemanticPrior(config.prior).requires_grad_(False)
        self.norms = nn.ModuleList(nn.LayerNorm(level.channels) for level in self.prior.levels)
        self.project = nn.Linear(sum(level.channels for level in self.prior.levels), channels)
        # Where a region is: attention alone would not know.
        self.region_embedding = nn.Parameter(torch.randn(config.regions**2, channels))
        # The only token where nothing is told.
        self.null_token = nn.Parameter(torch.zeros(channels))

    def forward(self, blurry: Tensor, restored: Tensor) -> Tokens:
        return self.tokens(self.seen(blurry, restored))

    @torch.no_grad()
    def seen(self, blurry: Tensor, restored: Tensor) -> Tensor:
        """What each level of the prior sees in the regions on average, (B, regions squared, channels of all levels)."""
        means = [F.adaptive_avg_pool2d(feature.float(), self.regions) for feature in self.prior(blurry, restored)]
        return torch.cat(means, dim=1).flatten(2).transpose(1, 2)

    def tokens(self, seen: Tensor) -> Tokens:
        """Of the regions: what is learnt."""
        levels = torch.split(
            seen.to(self.region_embedding.dtype), [level.channels for level in self.prior.levels], dim=2
        )
        normal = [norm(level) for norm, level in zip(self.norms, levels, strict=True)]
        values = self.project(torch.cat(normal, dim=2)) + self.region_embedding
        return Tokens(values, torch.ones(values.shape[:2], dtype=torch.bool, device=values.device))

    def told(self, tokens: Tokens, semantics: Tensor) -> Tokens:
        """`tokens`, regions' or a caption's, where `semantics`, (B,) bool, is True; `null_token` elsewhere."""
        null_token = self.null_token.to(tokens.values.dtype).expand_as(tokens.values)
        first = torch.arange(tokens.mask.shape[1], device=tokens.mask.device) == 0
        return Tokens(
            torch.where(semantics[:, None, None], tokens.values, null_token),
            torch.where(semantics[:, None], tokens.mask, first),
        )
