"""Learning to see motion: blurry patches are shown; asked for are the paths that the simulator drew, and the blur."""

import torch
from torch import Tensor

from unblur.blur.reblur import reblurred
from unblur.blur.undirected import directed, endpoint_error_px, undirected
from unblur.datasets import Patches
from unblur.datasets.reused import TurnedPair
from unblur.models.motion_estimator import OUTPUT_STRIDE_PX
from unblur.training.losses import path_loss, reblur_loss
from unblur.training.task import Example, Task, Verdict


class MotionTask(Task):
    """Minimises the distance between undirected paths; the true ones are the quadratic fits of the simulator's.

    A fit, because the very ends of a trembling path leave no trace that could be seen. Added, with a weight, is how far
    the sharp photograph blurred again along the answers is from the blurry one.
    """

    def __init__(self, patches: Patches[TurnedPair], reblur_weight: float) -> None:
        self.patches, self.reblur_weight = patches, reblur_weight

    def example(self, index: int) -> Example:
        """(blurry, undirected paths, sharp), (3, P, P) sRGB in [0, 1], (4, P/8, P/8) pixels and as the first."""
        patch = self.patches[index]
        ends = patch.fitted_ends(OUTPUT_STRIDE_PX)
        return patch.blurry, undirected(ends.start, ends.end), patch.sharp

    def judge(self, answers: Tensor, batch: Example) -> Verdict:
        """(B, 4, h, w); (B, 3, P, P), (B, 4, h, w), (B, 3, P, P)."""
        blurry, truth, sharp = batch
        again = reblur_loss(*reblurred(sharp, answers), blurry)
        loss = path_loss(answers, truth) + self.reblur_weight * again
        with torch.no_grad():
            error_px = endpoint_error_px(*directed(answers), *directed(truth)).mean().item()
            length_px = truth[:, 2:].norm(dim=1).mean().item()
        return Verdict(
            loss=loss,
            measured={
                "loss": round(loss.item(), 4),
                "reblur": round(again.item(), 5),
                "endpoint_px": round(error_px, 4),
                "length_px": round(length_px, 4),
            },
            hopeless=not error_px < 1000,
        )
