"""Learning a semantic prior: blurry patches are shown, what a frozen teacher sees in the sharp ones is asked for.

A student that looks twice is also shown what a frozen network has restored of most of the patches. The others it sees
once, so that it still knows what to answer where nothing was restored.
"""

from statistics import fmean
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.datasets import Patch, Patches
from unblur.models.backbone import Backbone
from unblur.models.semantic_prior import features_of
from unblur.training.losses import mean_cosine, review_loss
from unblur.training.task import Example, Task, Verdict

WORSE_THAN_ANY_CONSTANT = 10.0
"""A loss above this: the mean of each channel gets about 1, and an untrained student, which is its teacher, no more."""


SEEN_ONCE = 4
"""One patch of so many is not restored for a student that looks twice."""

ANGLE_WEIGHT, REVIEW_WEIGHT = 3.0, 0.3
"""Of 1 - cosine at every place, a third where blur is severe, and of `review_loss`, a fifth to a half."""


class PriorTask(Task):
    """Minimises what parts the student's answers from the teacher's features, at every level: angle and distance.

    The teacher looks at the sharp patches when answers are judged, not when examples are made: its features are many
    times larger than a patch.
    """

    def __init__(self, patches: Patches[Patch], teacher: Backbone, restorer: nn.Module | None = None) -> None:
        """`teacher` and `restorer`, for a student that looks twice: frozen, on the device that is trained on."""
        self.patches, self.teacher, self.restorer = patches, teacher, restorer

    def example(self, index: int) -> Example:
        """(blurry, sharp), (3, P, P) sRGB in [0, 1], and whether to look twice, () bool."""
        patch = self.patches[index]
        return patch.blurry, patch.sharp, torch.tensor(index % SEEN_ONCE != 0)

    def answers(self, model: nn.Module, batch: Example) -> Any:
        """Features of every level, finest first."""
        blurry, _, twice = batch
        if self.restorer is None or not bool(twice.any()):
            return model(blurry)
        restored = blurry.clone()
        with torch.no_grad():
            restored[twice] = self.restorer(blurry[twice]).clamp(0, 1)
        return model(blurry, restored)

    def judge(self, answers: list[Tensor], batch: Example) -> Verdict:
        """Features of every level, finest first; (B, 3, P, P) twice and (B,)."""
        truth = batch[1]
        with torch.no_grad():
            taught = features_of(self.teacher, truth)
            cosine = fmean(mean_cosine(one, other) for one, other in zip(answers, taught, strict=True))
        review = review_loss(answers, taught)
        loss = ANGLE_WEIGHT * angle_loss(answers, taught) + REVIEW_WEIGHT * review
        return Verdict(
            loss=loss,
            measured={"loss": round(loss.item(), 4), "review": round(review.item(), 4), "cosine": round(cosine, 4)},
            hopeless=not review.item() < WORSE_THAN_ANY_CONSTANT,
        )


def angle_loss(answers: list[Tensor], truth: list[Tensor]) -> Tensor:
    """One less the cosine between two features of a place: mean over places and levels, each (B, C, H, W). Scalar."""
    pairs = zip(answers, truth, strict=True)
    return torch.stack(
        [1 - F.cosine_similarity(one.float(), other.float(), dim=1).mean() for one, other in pairs]
    ).mean()
