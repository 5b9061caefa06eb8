"""Prior distillation: predict a frozen teacher's features of the sharp patch from the blurry one.

A two-pass student also gets most patches restored by a frozen network. It gets the others without, so that it still
works where nothing was restored.
"""

from statistics import fmean
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.datasets import Patch, Patches
from unblur.models.backbone import Backbone
from unblur.models.semantic_prior import compute_features
from unblur.training.losses import compute_mean_cosine, feature_loss
from unblur.training.objectives.objective import Example, LossOutput, Objective

WORSE_THAN_ANY_CONSTANT = 10.0
"""Loss above which training has diverged: the mean of each channel gets about 1, as does an untrained student."""


SINGLE_PASS_EVERY = 4
"""Interval between patches that are not restored for a two-pass student."""

ANGLE_WEIGHT, REVIEW_WEIGHT = 3.0, 0.3
"""Loss weights. At convergence on severe blur, 1 - cosine is about 0.33 and `feature_loss` 0.2 to 0.5."""


class PriorDistillationObjective(Objective):
    """Minimises angle and distance between the features of student and teacher at every level.

    The teacher runs when the loss is computed, not when examples are made: its features are many times larger than a
    patch.
    """

    def __init__(self, patches: Patches[Patch], teacher: Backbone, restorer: nn.Module | None = None) -> None:
        """Take a frozen teacher and, for a two-pass student, a frozen restorer, on the device of the training."""
        self.patches, self.teacher, self.restorer = patches, teacher, restorer

    def initialize(self, model: nn.Module) -> None:
        """Give the student the weights of its teacher."""
        model.get_submodule("backbone").load_state_dict(self.teacher.state_dict())

    def example(self, index: int) -> Example:
        """Return (blurry, sharp), (3, P, P) sRGB in [0, 1], and whether to use two passes, () bool."""
        patch = self.patches[index]
        return patch.blurry, patch.sharp, torch.tensor(index % SINGLE_PASS_EVERY != 0)

    def forward(self, model: nn.Module, batch: Example) -> Any:
        """Compute the student's features of every level, finest first."""
        blurry, _, twice = batch
        if self.restorer is None or not bool(twice.any()):
            return model(blurry)
        restored = blurry.clone()
        with torch.no_grad():
            restored[twice] = self.restorer(blurry[twice]).clamp(0, 1)
        return model(blurry, restored)

    def loss(self, predicted: list[Tensor], batch: Example) -> LossOutput:
        """Compute the loss of features of every level, finest first. Batch: (B, 3, P, P) twice and (B,)."""
        truth = batch[1]
        with torch.no_grad():
            target = compute_features(self.teacher, truth)
            cosine = fmean(compute_mean_cosine(one, other) for one, other in zip(predicted, target, strict=True))
        review = feature_loss(predicted, target)
        loss = ANGLE_WEIGHT * cosine_loss(predicted, target) + REVIEW_WEIGHT * review
        return LossOutput(
            loss=loss,
            metrics={"loss": round(loss.item(), 4), "review": round(review.item(), 4), "cosine": round(cosine, 4)},
            diverged=not review.item() < WORSE_THAN_ANY_CONSTANT,
        )


def cosine_loss(predicted: list[Tensor], truth: list[Tensor]) -> Tensor:
    """Return one less the cosine between two features of a place: mean over places and levels, each (B, C, H, W).

    Scalar.
    """
    pairs = zip(predicted, truth, strict=True)
    return torch.stack(
        [1 - F.cosine_similarity(one.float(), other.float(), dim=1).mean() for one, other in pairs]
    ).mean()
