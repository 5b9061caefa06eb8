"""The semantic prior: predicts, from the blurry image, the features that a classifier computes from the sharp one.

One idea: a student with the architecture and the initial weights of the teacher gets the blurry image; its deep
features correct its shallow ones, level by level, until its output matches the teacher's.

Source: "Take a Prior from Other Tasks for Severe Blur Removal" (Wang et al. 2023, arXiv 2302.06898) names cross-level
feature learning by knowledge distillation from a network of another task, and priors with global context and sharp
local structure. How it does so is not known to us and inferred: the words fit "Distilling Knowledge via Knowledge
Review" (ReviewKD, Chen et al. 2021, arXiv 2104.09044), whose fusion from deep to shallow by attention (ABF) this is.
Differences from ReviewKD: levels have any size; no batch normalisation; residual blocks after each fusion, because the
student has more to undo than to imitate; and the output of the fusion is added to the student's own features and is
zero-initialised, so that training begins at the teacher's features of the blurry image.

Ours too: a two-pass student also computes the features of a restored image, where there is one. The difference of the
two passes is projected into the fusion, and a gated share of it, learnt for each channel, is added to the output.
Without a restored image the second pass changes nothing.

Stride 2 is left out: at that scale a classifier finds edges, which the host's own encoder finds better. Nothing is
averaged over the photograph, so with a teacher of convolutions the prior of a tile equals that of the whole beyond
their reach.
"""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.backbone import BackboneConfig, build_backbone
from unblur.models.efficientnet_lite import EfficientNetLiteConfig
from unblur.models.features import FeatureLevel
from unblur.models.residual_block import build_residual_blocks

FINEST_STRIDE_PX = 4


@dataclass(frozen=True, kw_only=True)
class SemanticPriorConfig:
    """Sizes of a semantic prior."""

    backbone: BackboneConfig = EfficientNetLiteConfig()
    """The architecture of the student and of its teacher."""
    fusion_channels: int = 64
    """Channels of the fused features that pass from level to level."""
    blocks: int = 2
    """Residual blocks at every level, after the fusion."""
    two_pass: bool = False
    """Whether a second pass uses a restored image, where there is one."""

    def __post_init__(self) -> None:
        if self.fusion_channels < 1 or self.blocks < 0:
            raise ValueError(f"fusion_channels must be positive and blocks not negative: {self}")


class AttentionFusion(nn.Module):
    """Fusion of the features of this level and of the deeper ones by attention at each position (ReviewKD's ABF).

    Shape: (B, C, H, W) and the deeper (B, C, h, w) -> (B, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Conv2d(2 * channels, 2, 1)

    def forward(self, x: Tensor, deeper: Tensor) -> Tensor:
        deeper = F.interpolate(deeper, x.shape[2:], mode="nearest")
        here, below = self.weigh(torch.cat((x, deeper), dim=1)).sigmoid().chunk(2, dim=1)
        fused: Tensor = x * here + deeper * below
        return fused


class SemanticPrior(nn.Module):
    """Predictor of the teacher's features of the sharp image. Shape: (B, 3, H, W) sRGB in [0, 1] -> see `levels`.

    Any H and W are padded to multiples of 32 first. Without a restored image a two-pass student has the output of a
    single-pass one.
    """

    def __init__(self, config: SemanticPriorConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = build_backbone(config.backbone)
        channels = config.fusion_channels
        self.reduce = nn.ModuleList(nn.Conv2d(level.channels, channels, 1) for level in self.levels)
        self.fuse = nn.ModuleList(AttentionFusion(channels) for _ in self.levels[1:])
        self.refine = nn.ModuleList(build_residual_blocks(channels, config.blocks) for _ in self.levels)
        self.correct = nn.ModuleList(nn.Conv2d(channels, level.channels, 3, padding=1) for level in self.levels)
        for correct in self.correct:
            nn.init.zeros_(cast(Tensor, correct.weight))
            nn.init.zeros_(cast(Tensor, correct.bias))
        second = self.levels if config.two_pass else ()
        # Without biases and zero-initialised: two equal passes change nothing.
        self.delta_proj = nn.ModuleList(nn.Conv2d(level.channels, channels, 1, bias=False) for level in second)
        self.delta_gate = nn.ParameterList(nn.Parameter(torch.zeros(level.channels, 1, 1)) for level in second)
        for projection in self.delta_proj:
            nn.init.zeros_(cast(Tensor, projection.weight))

    @property
    def levels(self) -> tuple[FeatureLevel, ...]:
        """The levels of the output, finest first."""
        return tuple(level for level in self.backbone.levels if level.stride_px >= FINEST_STRIDE_PX)

    def forward(self, blurry: Tensor, restored: Tensor | None = None) -> list[Tensor]:
        """Predict features at every level, finest first. `restored`, of the same shape, is for two-pass students."""
        features = compute_features(self.backbone, blurry)
        again = compute_features(self.backbone, restored) if restored is not None and self.config.two_pass else None
        deeper: Tensor | None = None
        levels = []
        for index in reversed(range(len(features))):
            x, output = self.reduce[index](features[index]), features[index]
            if again is not None:
                delta = again[index] - features[index]
                x, output = x + self.delta_proj[index](delta), output + self.delta_gate[index] * delta
            deeper = self.refine[index](x if deeper is None else self.fuse[index](x, deeper))
            levels.append(output + self.correct[index](deeper))
        return levels[::-1]


def compute_features(backbone: nn.Module, picture: Tensor) -> list[Tensor]:
    """Compute the features of a teacher or student at the levels of a semantic prior, finest first."""
    features = zip(cast(tuple[FeatureLevel, ...], backbone.levels), backbone(picture), strict=True)
    return [feature for level, feature in features if level.stride_px >= FINEST_STRIDE_PX]
