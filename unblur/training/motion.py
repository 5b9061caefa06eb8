"""Learning to see motion: blurry patches are shown, the paths that the simulator drew are asked for."""

import torch
from torch import Tensor

from unblur.blur.undirected import directed, endpoint_error_px, undirected
from unblur.datasets import Patches
from unblur.datasets.reused import TurnedPair
from unblur.models.motion_estimator import OUTPUT_STRIDE_PX
from unblur.training.losses import path_loss
from unblur.training.task import Example, Task, Verdict


class MotionTask(Task):
    """Minimises the distance between undirected paths; the true ones are the quadratic fits of the simulator's.

    A fit, because the very ends of a trembling path leave no trace that could be seen.
    """

    def __init__(self, patches: Patches[TurnedPair]) -> None:
        self.patches = patches

    def example(self, index: int) -> Example:
        """(blurry, undirected paths), (3, P, P) sRGB in [0, 1] and (4, P/8, P/8) pixels."""
        patch = self.patches[index]
        ends = patch.fitted_ends(OUTPUT_STRIDE_PX)
        return patch.blurry, undirected(ends.start, ends.end)

    def judge(self, answers: Tensor, batch: Example) -> Verdict:
        """(B, 4, h, w); (B, 3, P, P), (B, 4, h, w)."""
        _, truth = batch
        loss = path_loss(answers, truth)
        with torch.no_grad():
            error_px = endpoint_error_px(*directed(answers), *directed(truth)).mean().item()
            length_px = truth[:, 2:].norm(dim=1).mean().item()
        return Verdict(
            loss=loss,
            measured={
                "loss": round(loss.item(), 4),
                "endpoint_px": round(error_px, 4),
                "length_px": round(length_px, 4),
            },
            hopeless=not error_px < 1000,
        )
