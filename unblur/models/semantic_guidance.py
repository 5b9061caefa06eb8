"""Semantic guidance: tokens for cross attention, from a caption or, without one, from the semantic prior.

Sources: GLOWDeblur (arXiv 2601.06525) conditions its denoiser on a caption by a vision-language model, whose text
encoder is not named. The tokens that replace a missing caption are ours: features of the semantic prior
(`unblur.models.semantic_prior`) averaged over regions of the image. Their number is fixed, so that the cost of cross
attention per pixel does not depend on the size of the image.
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
    """The network whose features become tokens. Its weights are frozen and part of the checkpoint."""
    regions: int = 8
    """Number of rows and of columns of regions; each region is a token."""

    def __post_init__(self) -> None:
        if self.regions < 1:
            raise ValueError(f"a photograph has at least one region: {self}")


class SemanticGuidance(nn.Module):
    """Network that computes tokens from a blurry image and its restoration.

    Shape: (B, 3, H, W) sRGB in [0, 1] twice -> (B, regions squared, `channels`).
    """

    def __init__(self, config: SemanticGuidanceConfig, channels: int) -> None:
        super().__init__()
        self.regions = config.regions
        self.prior = SemanticPrior(config.prior).requires_grad_(False)
        self.norms = nn.ModuleList(nn.LayerNorm(level.channels) for level in self.prior.levels)
        self.project = nn.Linear(sum(level.channels for level in self.prior.levels), channels)
        # Attention has no other information about where a region lies.
        self.region_embedding = nn.Parameter(torch.randn(config.regions**2, channels))
        # The only token of an example whose tokens are dropped.
        self.null_token = nn.Parameter(torch.zeros(channels))

    def forward(self, blurry: Tensor, restored: Tensor) -> Tokens:
        return self.project_tokens(self.average_regions(blurry, restored))

    @torch.no_grad()
    def average_regions(self, blurry: Tensor, restored: Tensor) -> Tensor:
        """Average the features of all levels over regions: (B, regions squared, channels of all levels)."""
        means = [F.adaptive_avg_pool2d(feature.float(), self.regions) for feature in self.prior(blurry, restored)]
        return torch.cat(means, dim=1).flatten(2).transpose(1, 2)

    def project_tokens(self, features: Tensor) -> Tokens:
        """Project features of regions to tokens with the trained layers."""
        levels = torch.split(
            features.to(self.region_embedding.dtype), [level.channels for level in self.prior.levels], dim=2
        )
        normal = [norm(level) for norm, level in zip(self.norms, levels, strict=True)]
        values = self.project(torch.cat(normal, dim=2)) + self.region_embedding
        return Tokens(values, torch.ones(values.shape[:2], dtype=torch.bool, device=values.device))

    def drop_tokens(self, tokens: Tokens, keep: Tensor) -> Tokens:
        """Replace `tokens`, of regions or a caption, by `null_token` where `keep`, (B,) bool, is False."""
        null_token = self.null_token.to(tokens.values.dtype).expand_as(tokens.values)
        first = torch.arange(tokens.mask.shape[1], device=tokens.mask.device) == 0
        return Tokens(
            torch.where(keep[:, None, None], tokens.values, null_token),
            torch.where(keep[:, None], tokens.mask, first),
        )
