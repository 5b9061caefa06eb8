"""Learning to restore: blurry patches are shown, sharp ones are asked for."""

from torch import Tensor

from unblur.datasets import Patches
from unblur.training.losses import psnr_loss
from unblur.training.task import Example, Verdict


class RestorationTask:
    """Minimises the negative PSNR of patches."""

    def __init__(self, patches: Patches, loss_floor: float) -> None:
        """`loss_floor`: mean squared error below which a patch hardly counts."""
        self.patches, self.loss_floor = patches, loss_floor

    def example(self, index: int) -> Example:
        """(blurry, sharp), (3, P, P) sRGB in [0, 1]."""
        patch = self.patches[index]
        return patch.blurry, patch.sharp

    def judge(self, answers: Tensor, shown: Tensor, truth: Tensor) -> Verdict:
        """(B, 3, P, P) each."""
        loss = psnr_loss(answers, truth, self.loss_floor)
        psnr_db = -loss.item()
        gain_db = psnr_db + psnr_loss(shown, truth, self.loss_floor).item()
        return Verdict(
            loss=loss,
            measured={"psnr_db": round(psnr_db, 4), "gain_db": round(gain_db, 4)},
            # Pixels lie in [0, 1]: below 0 dB the output is worse than any flat picture.
            hopeless=not psnr_db > 0,
        )
