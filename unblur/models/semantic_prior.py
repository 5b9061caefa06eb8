"""The semantic prior: what a classifier would have seen in the sharp photograph, told from the blurry one.

One idea: a student, equal to the teacher and begun with its weights, is shown the blurry photograph; what its deep
levels understood corrects what its shallow levels saw, level by level, until the answers are the teacher's.

Source: "Take a Prior from Other Tasks for Severe Blur Removal" (Wang et al. 2023, arXiv 2302.06898) names cross-level
feature learning by knowledge distillation from a network of another task, and priors with global context and sharp
local structure. How it does so is not known to us and inferred: the words fit "Distilling Knowledge via Knowledge
Review" (ReviewKD, Chen et al. 2021, arXiv 2104.09044), whose fusion from deep to shallow by attention (ABF) this is.
Differences from ReviewKD: levels have any size; no batch normalisation; residual blocks after each fusion, because the
student has more to undo than to imitate; and the fusion's answer is added to the student's own features and begins at
zero, so that training begins at what the teacher sees in the blurry photograph.

Ours too: a student may look twice, also at what a network that restores has made of the photograph, where there is
one. What it sees there and not in the blurry photograph is told to the fusion, and a share of it, learnt for each
channel, is taken as it is. Where nothing was restored, the second look changes nothing.

Stride 2 is left out: at that scale a classifier sees edges, which the host's own encoder sees better. Nothing is
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
from unblur.models.residual_block import residual_blocks

FINEST_STRIDE_PX = 4


@dataclass(frozen=True, kw_only=True)
class SemanticPriorConfig:
    """Sizes of a semantic prior."""

    backbone: BackboneConfig = EfficientNetLiteConfig()
    """The student, and the teacher that it is begun with and learns from."""
    fusion_channels: int = 64
    """Of what is carried from level to level."""
    blocks: int = 2
    """Residual blocks at every level, after the fusion."""
    two_pass: bool = False
    """Whether a restored photograph is looked at too, where there is one."""

    def __post_init__(self) -> None:
        if self.fusion_channels < 1 or self.blocks < 0:
            raise ValueError(f"fusion needs channels, and no fewer than no blocks: {self}")


class AttentionFusion(nn.Module):
    """What this level saw and what the deeper ones understood, each weighted at each place (the paper's ABF).

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
    """The teacher's features of the sharp photograph. Shape: (B, 3, H, W) sRGB in [0, 1] -> see `levels`, any H and W.

    H and W are padded to multiples of 32 first. A student that looks twice has the same answers as one that does not
    where it is given no restored photograph.
    """

    def __init__(self, config: SemanticPriorConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = build_backbone(config.backbone)
        channels = config.fusion_channels
        self.reduce = nn.ModuleList(nn.Conv2d(level.channels, channels, 1) for level in self.levels)
        self.fuse = nn.ModuleList(AttentionFusion(channels) for _ in self.levels[1:])
        self.refine = nn.ModuleList(residual_blocks(channels, config.blocks) for _ in self.levels)
        self.correct = nn.ModuleList(nn.Conv2d(channels, level.channels, 3, padding=1) for level in self.levels)
        for correct in self.correct:
            nn.init.zeros_(cast(Tensor, correct.weight))
            nn.init.zeros_(cast(Tensor, correct.bias))
        more = self.levels if config.two_pass else ()
        # Without biases, and both begin at zero: where the two looks see the same, there is nothing to tell.
        self.delta_proj = nn.ModuleList(nn.Conv2d(level.channels, channels, 1, bias=False) for level in more)
        self.delta_gate = nn.ParameterList(nn.Parameter(torch.zeros(level.channels, 1, 1)) for level in more)
        for tell in self.delta_proj:
            nn.init.zeros_(cast(Tensor, tell.weight))

    @property
    def levels(self) -> tuple[FeatureLevel, ...]:
        """Of the answers, finest first."""
        return tuple(level for level in self.backbone.levels if level.stride_px >= FINEST_STRIDE_PX)

    def forward(self, blurry: Tensor, restored: Tensor | None = None) -> list[Tensor]:
        """Features at every level, finest first. `restored`, of the same shape, is for students that look twice."""
        seen = features_of(self.backbone, blurry)
        again = features_of(self.backbone, restored) if restored is not None and self.config.two_pass else None
        carried: Tensor | None = None
        answers = []
        for index in reversed(range(len(seen))):
            x, own = self.reduce[index](seen[index]), seen[index]
            if again is not None:
                more = again[index] - seen[index]
                x, own = x + self.delta_proj[index](more), own + self.delta_gate[index] * more
            carried = self.refine[index](x if carried is None else self.fuse[index](x, carried))
            answers.append(own + self.correct[index](carried))
        return answers[::-1]


def features_of(backbone: nn.Module, picture: Tensor) -> list[Tensor]:
    """What a teacher or student sees at the levels of a semantic prior, finest first."""
    features = zip(cast(tuple[FeatureLevel, ...], backbone.levels), backbone(picture), strict=True)
    return [feature for level, feature in features if level.stride_px >= FINEST_STRIDE_PX]
