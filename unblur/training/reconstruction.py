"""Learning a latent space: sharp patches, or a frozen encoder's latents of them, are shown and asked for."""

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
from unblur.training.reconstruction_loss import ReconstructionLoss, perceptual_loss, pixel_loss, spectrum_loss
from unblur.training.step import autocast
from unblur.training.task import Example, Task, Verdict


class ReconstructionTask(Task):
    """Minimises the distance of reconstructions from photographs and, late, what a discriminator finds false in them.

    The discriminator learns from each batch before it judges it. It, its optimizer and the number of batches are part
    of the run's state, so that a resumed run equals an uninterrupted one.
    """

    whole_batches: ClassVar[bool] = True
    """The discriminator learns once from each, and an encoder that is trained standardises over it."""

    def __init__(
        self,
        patches: Patches[Patch],
        settings: ReconstructionLoss,
        steps: int,
        seed: int,
        device: str = "cpu",
        encoder: FrozenEncoder | None = None,
        *,
        precision: Precision,
    ) -> None:
        """`encoder`: makes the latents that are shown, on `device`; None shows the patches to a whole autoencoder.
        `precision`: of ST-LPIPS, whose networks are frozen.
        """
        self.patches, self.settings, self.encoder = patches, settings, encoder
        self.device, self.precision = torch.device(device), precision
        self.judged = 0
        self.honest_steps = round(settings.adversarial_from * steps)
        self.adversary = Adversary(seed, device) if settings.adversarial else None
        self.perceptual = load_st_lpips("alex").to(self.device) if settings.perceptual else None

    @torch.no_grad()
    def example(self, index: int) -> Example:
        """(latents, sharp), or the sharp patch twice: (32, P/32, P/32) and (3, P, P) sRGB in [0, 1]."""
        sharp = self.patches[index].sharp
        if self.encoder is None:
            return sharp, sharp
        return self.encoder.network(sharp[None].to(self.device))[0], sharp

    def judge(self, answers: Tensor, batch: Example) -> Verdict:
        """(B, 3, P, P); (B, 32, P/32, P/32) or (B, 3, P, P), (B, 3, P, P)."""
        _, truth = batch
        answers = answers.float()
        with torch.no_grad():
            psnr_db = psnr(answers, truth).mean().item()
        loss = pixel_loss(answers, truth)
        measured = {"psnr_db": round(psnr_db, 4), "pixel": round(loss.item(), 5)}
        if self.settings.spectrum:
            spectrum = spectrum_loss(answers, truth)
            loss = loss + self.settings.spectrum * spectrum
            measured["spectrum"] = round(spectrum.item(), 5)
        # Worse than any flat picture, or no picture at all, which ST-LPIPS would refuse.
        if not psnr_db > 0:
            return Verdict(loss=loss, measured=measured, hopeless=True)
        if self.perceptual is not None:
            with autocast(self.device, self.precision):
                distance = perceptual_loss(answers, truth, self.perceptual, self.settings.perceptual_share)
            loss = loss + self.settings.perceptual * distance
            measured["st_lpips"] = round(distance.item(), 5)
        if self.adversary is not None and self.judged >= self.honest_steps:
            measured["discriminator"] = round(self.adversary.learn(answers, truth), 5)
            loss = loss + self.settings.adversarial * self.adversary.fooling_loss(answers)
        self.judged += 1
        return Verdict(loss=loss, measured=measured, hopeless=False)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs beside the network."""
        return {
            "judged": self.judged,
            "encoder": "" if self.encoder is None else self.encoder.sha256,
            "adversary": None if self.adversary is None else self.adversary.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there. Raises UnblurError for a run that began with another encoder."""
        if self.encoder is not None and state["encoder"] != self.encoder.sha256:
            raise UnblurError("The run began with the latents of another encoder; give that one, or another folder.")
        self.judged = state["judged"]
        if self.adversary is not None:
            self.adversary.load_state_dict(state["adversary"])
