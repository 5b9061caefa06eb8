"""Autoencoding: reconstruct sharp patches from themselves, or from a frozen encoder's latents."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from unblur.checkpoints.latent_spaces import FrozenEncoder
from unblur.datasets import Patch, Patches
from unblur.errors import UnblurError
from unblur.metrics import psnr
from unblur.metrics.st_lpips import load_st_lpips
from unblur.names import Precision
from unblur.training.adversarial import Adversary
from unblur.training.objective_settings import AutoencoderTraining
from unblur.training.objectives.objective import Example, LossOutput, Objective
from unblur.training.reconstruction_loss import perceptual_loss, pixel_loss, spectrum_loss
from unblur.training.step import autocast


class AutoencodingObjective(Objective):
    """Minimises the distance between reconstruction and patch and, later in the run, an adversarial loss.

    The discriminator is trained on each batch before it is used on it. It, its optimizer and the number of batches are
    part of the run's state, so that a resumed run equals an uninterrupted one.
    """

    whole_batches: ClassVar[bool] = True
    """The discriminator is trained once per batch, and a trained encoder normalises over it."""

    def __init__(
        self,
        patches: Patches[Patch],
        settings: AutoencoderTraining,
        steps: int,
        seed: int,
        device: str = "cpu",
        encoder: FrozenEncoder | None = None,
        *,
        precision: Precision,
    ) -> None:
        """Use the latents of `encoder` as inputs, or the patches themselves for None.

        `precision` is that of ST-LPIPS, whose networks are frozen.
        """
        self.patches, self.settings, self.encoder = patches, settings, encoder
        self.device, self.precision = torch.device(device), precision
        self.batches = 0
        self.honest_steps = round(settings.adversarial_start * steps)
        self.adversary = Adversary(seed, device) if settings.adversarial else None
        self.perceptual = load_st_lpips("alex").to(self.device) if settings.perceptual else None

    @torch.no_grad()
    def example(self, index: int) -> Example:
        """Return (latents, sharp), or the sharp patch twice: (32, P/32, P/32) and (3, P, P) sRGB in [0, 1]."""
        sharp = self.patches[index].sharp
        if self.encoder is None:
            return sharp, sharp
        return self.encoder.network(sharp[None].to(self.device))[0], sharp

    def loss(self, predicted: Tensor, batch: Example) -> LossOutput:
        """Compute the loss of reconstructions. Shape: (B, 3, P, P); the batch as in `example`."""
        _, truth = batch
        predicted = predicted.float()
        with torch.no_grad():
            psnr_db = psnr(predicted, truth).mean().item()
        loss = pixel_loss(predicted, truth)
        metrics = {"psnr_db": round(psnr_db, 4), "pixel": round(loss.item(), 5)}
        if self.settings.spectrum:
            spectrum = spectrum_loss(predicted, truth)
            loss = loss + self.settings.spectrum * spectrum
            metrics["spectrum"] = round(spectrum.item(), 5)
        # Worse than a constant image, or not finite, which ST-LPIPS would refuse.
        if not psnr_db > 0:
            return LossOutput(loss=loss, metrics=metrics, diverged=True)
        if self.perceptual is not None:
            with autocast(self.device, self.precision):
                distance = perceptual_loss(predicted, truth, self.perceptual, self.settings.perceptual_share)
            loss = loss + self.settings.perceptual * distance
            metrics["st_lpips"] = round(distance.item(), 5)
        if self.adversary is not None and self.batches >= self.honest_steps:
            metrics["discriminator"] = round(self.adversary.learn(predicted, truth), 5)
            loss = loss + self.settings.adversarial * self.adversary.compute_fooling_loss(predicted)
        self.batches += 1
        return LossOutput(loss=loss, metrics=metrics, diverged=False)

    def state_dict(self) -> dict[str, Any]:
        """Return the number of batches, the encoder's digest and the discriminator."""
        return {
            "batches": self.batches,
            "encoder": "" if self.encoder is None else self.encoder.sha256,
            "adversary": None if self.adversary is None else self.adversary.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore that state. Raises UnblurError for a run that began with another encoder."""
        if self.encoder is not None and state["encoder"] != self.encoder.sha256:
            raise UnblurError("The run began with the latents of another encoder; give that one, or another folder.")
        self.batches = state["batches"]
        if self.adversary is not None:
            self.adversary.load_state_dict(state["adversary"])
