"""Motion estimation: predict the simulated motion paths from the blurry patch."""

import torch
from torch import Tensor

from unblur.blur.reblur import reblur
from unblur.blur.undirected import compute_endpoint_error_px, to_directed, to_undirected
from unblur.datasets import Patches
from unblur.datasets.repeated import AugmentedPair
from unblur.models.motion_estimator import OUTPUT_STRIDE_PX
from unblur.training.losses import path_loss, reblur_loss
from unblur.training.objectives.objective import Example, LossOutput, Objective


class MotionObjective(Objective):
    """Minimises the distance between undirected paths; targets are quadratic fits of the simulated paths.

    A fit, because the very ends of a trembling path leave no visible trace. A weighted second term is the difference
    between the blurry patch and the sharp patch blurred along the predicted paths.
    """

    def __init__(self, patches: Patches[AugmentedPair], reblur_weight: float) -> None:
        self.patches, self.reblur_weight = patches, reblur_weight

    def example(self, index: int) -> Example:
        """Return (blurry, undirected paths, sharp): (3, P, P) sRGB in [0, 1], (4, P/8, P/8) pixels, (3, P, P)."""
        patch = self.patches[index]
        ends = patch.fit_ends(OUTPUT_STRIDE_PX)
        return patch.blurry, to_undirected(ends.start, ends.end), patch.sharp

    def loss(self, predicted: Tensor, batch: Example) -> LossOutput:
        """Compute the loss of paths. Shape: (B, 4, h, w); (B, 3, P, P), (B, 4, h, w), (B, 3, P, P)."""
        blurry, truth, sharp = batch
        again = reblur_loss(*reblur(sharp, predicted), blurry)
        loss = path_loss(predicted, truth) + self.reblur_weight * again
        with torch.no_grad():
            error_px = compute_endpoint_error_px(*to_directed(predicted), *to_directed(truth)).mean().item()
            length_px = truth[:, 2:].norm(dim=1).mean().item()
        return LossOutput(
            loss=loss,
            metrics={
                "loss": round(loss.item(), 4),
                "reblur": round(again.item(), 5),
                "endpoint_px": round(error_px, 4),
                "length_px": round(length_px, 4),
            },
            diverged=not error_px < 1000,
        )
