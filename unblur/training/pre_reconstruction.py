"""Learning a first restoration and its latents: blurry patches are shown, sharp ones and their latents asked for."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.checkpoints.latent_spaces import FrozenEncoder
from unblur.datasets import Patch, Patches
from unblur.errors import UnblurError
from unblur.metrics import psnr
from unblur.training.glow_learning import RESTORATION_EPSILON, GlowLearning
from unblur.training.losses import charbonnier_loss
from unblur.training.task import Example, Task, Verdict


class PreReconstructionTask(Task):
    """Minimises the distance of the restoration from the sharp patch, and of the aligned feature from its latents."""

    def __init__(
        self, patches: Patches[Patch], encoder: FrozenEncoder, learning: GlowLearning, device: str = "cpu"
    ) -> None:
        """`encoder`: makes the latents, on `device`."""
        self.patches, self.encoder, self.learning, self.device = patches, encoder, learning, device

    def example(self, index: int) -> Example:
        """(blurry, sharp, clean): (3, P, P) sRGB in [0, 1] twice, and the scaled latents (C, P/32, P/32) of sharp."""
        patch = self.patches[index]
        return patch.blurry, patch.sharp, self.encoded(patch.sharp)

    @torch.no_grad()
    def encoded(self, picture: Tensor) -> Tensor:
        """Scaled latents (C, P/32, P/32) of (3, P, P)."""
        latents: Tensor = self.encoder.network(picture[None].to(self.device))
        return latents[0]

    def judge(self, answers: tuple[Tensor, Tensor], batch: Example) -> Verdict:
        """(restored, aligned); (blurry, sharp, clean)."""
        (restored, aligned), (blurry, sharp, clean) = answers, batch
        restored = restored.float()
        alignment = F.mse_loss(aligned.float(), clean)
        distance = charbonnier_loss(restored, sharp, RESTORATION_EPSILON)
        with torch.no_grad():
            psnr_db = psnr(restored, sharp).mean().item()
            gain_db = psnr_db - psnr(blurry, sharp).mean().item()
        return Verdict(
            loss=self.learning.alignment * alignment + self.learning.restoration * distance,
            measured={
                "alignment": round(alignment.item(), 5),
                "psnr_db": round(psnr_db, 4),
                "gain_db": round(gain_db, 4),
            },
            # Worse than any flat picture.
            hopeless=not (psnr_db > 0 and bool(alignment.isfinite())),
        )

    def state_dict(self) -> dict[str, Any]:
        """The encoder that the run is bound to."""
        return {"encoder": self.encoder.sha256}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises UnblurError for a run that began with another encoder."""
        if state["encoder"] != self.encoder.sha256:
            raise UnblurError("The run began with the latents of another encoder; give that one, or another folder.")
