"""Restoration: predict the sharp patch from the blurry one."""

import torch
from torch import Tensor, nn

from unblur.datasets import Patch, Patches
from unblur.models import MultiOutput
from unblur.training.losses import psnr_loss
from unblur.training.objectives.objective import Example, LossOutput, Objective
from unblur.training.restoration_loss import RestorationLoss


class RestorationObjective(Objective):
    """Minimises the loss of a recipe; PSNR is logged for every loss."""

    def __init__(self, patches: Patches[Patch], criterion: RestorationLoss, loss_floor: float) -> None:
        """Add `loss_floor` to the mean squared error of each patch when its PSNR is logged."""
        self.patches, self.criterion, self.loss_floor = patches, criterion, loss_floor

    def example(self, index: int) -> Example:
        """Return (blurry, sharp). Shape: (3, P, P) sRGB in [0, 1] each."""
        patch = self.patches[index]
        return patch.blurry, patch.sharp

    def forward(self, model: nn.Module, batch: Example) -> Tensor | list[Tensor]:
        """Restore the batch; networks with several outputs return all of them."""
        shown, _ = batch
        restored: Tensor | list[Tensor] = model.restore_all(shown) if isinstance(model, MultiOutput) else model(shown)
        return restored

    def loss(self, predicted: Tensor | list[Tensor], batch: Example) -> LossOutput:
        """Compute the loss of restored patches. Shape: (B, 3, P, P) each."""
        shown, truth = batch
        outputs = predicted if isinstance(predicted, list) else [predicted]
        with torch.no_grad():
            psnr_db = -psnr_loss(outputs[-1], truth, self.loss_floor).item()
            gain_db = psnr_db + psnr_loss(shown, truth, self.loss_floor).item()
        # Pixels lie in [0, 1]: below 0 dB the output is worse than any flat picture.
        diverged = not psnr_db > 0
        # Skip perceptual losses once the output has diverged: their networks expect image-like input.
        loss = outputs[-1].mean() if diverged else self.criterion(outputs, truth)
        return LossOutput(
            loss=loss,
            metrics={"psnr_db": round(psnr_db, 4), "gain_db": round(gain_db, 4), "loss": round(loss.item(), 5)},
            diverged=diverged,
        )
