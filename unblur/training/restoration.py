"""Learning to restore: blurry patches are shown, sharp ones are asked for."""

import torch
from torch import Tensor, nn

from unblur.datasets import Patch, Patches
from unblur.models import MultiOutput
from unblur.training.losses import psnr_loss
from unblur.training.restoration_loss import RestorationLoss
from unblur.training.task import Example, Task, Verdict


class RestorationTask(Task):
    """Minimises a recipe's loss on patches, and tells the PSNR, whichever loss it is."""

    def __init__(self, patches: Patches[Patch], loss: RestorationLoss, loss_floor: float) -> None:
        """`loss_floor`: mean squared error that is added to each patch's before its PSNR is taken."""
        self.patches, self.loss, self.loss_floor = patches, loss, loss_floor

    def example(self, index: int) -> Example:
        """(blurry, sharp), (3, P, P) sRGB in [0, 1]."""
        patch = self.patches[index]
        return patch.blurry, patch.sharp

    def answers(self, model: nn.Module, batch: Example) -> Tensor | list[Tensor]:
        """What is restored; of a network with several outputs, all of them."""
        shown, _ = batch
        restored: Tensor | list[Tensor] = model.outputs(shown) if isinstance(model, MultiOutput) else model(shown)
        return restored

    def judge(self, answers: Tensor | list[Tensor], batch: Example) -> Verdict:
        """(B, 3, P, P) each."""
        shown, truth = batch
        outputs = answers if isinstance(answers, list) else [answers]
        with torch.no_grad():
            psnr_db = -psnr_loss(outputs[-1], truth, self.loss_floor).item()
            gain_db = psnr_db + psnr_loss(shown, truth, self.loss_floor).item()
        # Pixels lie in [0, 1]: below 0 dB the output is worse than any flat picture.
        hopeless = not psnr_db > 0
        # What is no picture any more is not shown to networks that judge pictures.
        loss = outputs[-1].mean() if hopeless else self.loss(outputs, truth)
        return Verdict(
            loss=loss,
            measured={"psnr_db": round(psnr_db, 4), "gain_db": round(gain_db, 4), "loss": round(loss.item(), 5)},
            hopeless=hopeless,
        )
