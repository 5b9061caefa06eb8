"""Learning a semantic prior: blurry patches are shown, what a frozen teacher sees in the sharp ones is asked for."""

from statistics import fmean

import torch
from torch import Tensor

from unblur.datasets import Patch, Patches
from unblur.evaluation.feature_similarity import similarity
from unblur.models.backbone import Backbone
from unblur.models.semantic_prior import features_of
from unblur.training.losses import review_loss
from unblur.training.task import Example, Task, Verdict

WORSE_THAN_ANY_CONSTANT = 10.0
"""A loss above this: the mean of each channel gets about 1, and an untrained student, which is its teacher, no more."""


class PriorTask(Task):
    """Minimises the distance between the student's answers and the teacher's features, at every level.

    The teacher looks at the sharp patches when answers are judged, not when examples are made: its features are many
    times larger than a patch.
    """

    def __init__(self, patches: Patches[Patch], teacher: Backbone) -> None:
        """`teacher`: frozen, on the device that is trained on."""
        self.patches, self.teacher = patches, teacher

    def example(self, index: int) -> Example:
        """(blurry, sharp), (3, P, P) sRGB in [0, 1]."""
        patch = self.patches[index]
        return patch.blurry, patch.sharp

    def judge(self, answers: list[Tensor], batch: Example) -> Verdict:
        """Features of every level, finest first; (B, 3, P, P) twice."""
        _, truth = batch
        with torch.no_grad():
            taught = features_of(self.teacher, truth)
            cosine = fmean(similarity(one, other) for one, other in zip(answers, taught, strict=True))
        loss = review_loss(answers, taught)
        return Verdict(
            loss=loss,
            measured={"loss": round(loss.item(), 4), "cosine": round(cosine, 4)},
            hopeless=not loss.item() < WORSE_THAN_ANY_CONSTANT,
        )
