"""Pre-reconstruction: predict the sharp patch and its latents from the blurry patch."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.checkpoints.latent_spaces import FrozenEncoder
from unblur.datasets import Patch, Patches
from unblur.errors import UnblurError
from unblur.metrics import psnr
from unblur.training.losses import charbonnier_loss
from unblur.training.objective_settings import GlowTraining
from unblur.training.objectives.objective import Example, LossOutput, Objective

RESTORATION_EPSILON = 1e-3
"""Epsilon of the Charbonnier distance of the first restoration: smaller errors count by their square."""


class PreReconstructionObjective(Objective):
    """Minimises the distance of the restoration from the sharp patch, and of the aligned feature from its latents."""

    def __init__(
        self, patches: Patches[Patch], encoder: FrozenEncoder, learning: GlowTraining, device: str = "cpu"
    ) -> None:
        """Take the frozen encoder of the target latents, on `device`."""
        self.patches, self.encoder, self.learning, self.device = patches, encoder, learning, device

    def example(self, index: int) -> Example:
        """Return (blurry, sharp, clean): (3, P, P) sRGB in [0, 1] twice, and latents of sharp, (C, P/32, P/32)."""
        return self.make_example(self.patches[index])

    def make_example(self, patch: Patch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the example of a patch, as in `example`."""
        return patch.blurry, patch.sharp, self.encode(patch.sharp)

    @torch.no_grad()
    def encode(self, picture: Tensor) -> Tensor:
        """Encode an image (3, P, P) into scaled latents (C, P/32, P/32)."""
        latents: Tensor = self.encoder.network(picture[None].to(self.device))
        return latents[0]

    def loss(self, predicted: tuple[Tensor, Tensor], batch: Example) -> LossOutput:
        """Compute the loss of (restored, aligned) for the batch (blurry, sharp, clean)."""
        (restored, aligned), (blurry, sharp, clean) = predicted, batch
        restored = restored.float()
        alignment = F.mse_loss(aligned.float(), clean)
        distance = charbonnier_loss(restored, sharp, RESTORATION_EPSILON)
        with torch.no_grad():
            psnr_db = psnr(restored, sharp).mean().item()
            gain_db = psnr_db - psnr(blurry, sharp).mean().item()
        return LossOutput(
            loss=self.learning.alignment * alignment + self.learning.restoration * distance,
            metrics={
                "alignment": round(alignment.item(), 5),
                "psnr_db": round(psnr_db, 4),
                "gain_db": round(gain_db, 4),
            },
            # Worse than a constant image.
            diverged=not (psnr_db > 0 and bool(alignment.isfinite())),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the digest of the encoder, which a run cannot change."""
        return {"encoder": self.encoder.sha256}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Check the encoder. Raises UnblurError for a run that began with another one."""
        if state["encoder"] != self.encoder.sha256:
            raise UnblurError("The run began with the latents of another encoder; give that one, or another folder.")
