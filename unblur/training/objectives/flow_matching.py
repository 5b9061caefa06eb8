"""Flow matching: predict the velocity of noisy latents of the sharp patch, conditioned on the blurry patch.

Source: `docs/explain/glowdeblur.md` says which parts are GLOWDeblur's (arXiv 2601.06525), SANA's and ours.
Everything random about an example is keyed by its number: neither the size of a batch, nor threads, nor an
interruption changes it.
"""

from dataclasses import replace
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models import GlowDeblur
from unblur.models.flow import add_noise, sample_sigmas, velocity_target
from unblur.models.glow import Conditions
from unblur.models.tokens import Tokens, select_tokens
from unblur.seeds import make_generator
from unblur.training.objective_settings import GlowTraining
from unblur.training.objectives.objective import Example, LossOutput, Objective
from unblur.training.objectives.patch_captions import PatchCaptions
from unblur.training.objectives.pre_reconstruction import PreReconstructionObjective

WORSE_THAN_NOTHING = 10.0
"""Multiple of the error of a zero velocity, which an untrained denoiser predicts, from which training has diverged."""


class FlowMatchingObjective(Objective):
    """Minimises the squared error of the velocity plus the loss of `first`, the pre-reconstruction.

    A network without pre-reconstruction minimises the first alone, conditioned on the latents of the blurry patch.
    """

    def __init__(
        self,
        first: PreReconstructionObjective,
        seed: int,
        *,
        pre_reconstructs: bool = True,
        captions: PatchCaptions | None = None,
    ) -> None:
        """Set `pre_reconstructs` to false for a network without pre-reconstruction."""
        self.first, self.seed, self.pre_reconstructs, self.captions = first, seed, pre_reconstructs, captions

    def example(self, index: int) -> Example:
        """Return (blurry, sharp, clean, noise, sigma, condition_mask), and what else is needed.

        The first three are those of `PreReconstructionObjective`; noise (C, P/32, P/32), its share in (0, 1), and a
        mask (2,) of the conditions that the denoiser gets, motion and semantics. With captions, their tokens (N, C),
        the mask of these (N,), and whether they replace regions follow; without pre-reconstruction, the latents of
        blurry.
        """
        patch = self.first.patches[index]
        blurry, sharp, clean = self.first.make_example(patch)
        encoded = () if self.pre_reconstructs else (self.first.encode(blurry),)
        caption: tuple[Tensor, ...] = ()
        if self.captions is not None:
            tokens = self.captions.pad(self.captions.encode(patch.upright))
            caption = (*tokens, self.captions.is_captioned(self.seed, index))
        return blurry, sharp, clean, *sample_noise(clean, self.first.learning, self.seed, index), *caption, *encoded

    def forward(self, model: nn.Module, batch: Example) -> tuple[Tensor, Conditions]:
        """Predict the velocity; the conditions are returned as they are before condition dropout."""
        network = cast(GlowDeblur, model)
        blurry, _, clean, noise, sigma, condition_mask, *rest = batch
        conditions: Conditions = network(blurry, encoded=None if self.pre_reconstructs else rest[-1])
        if self.captions is not None:
            conditions = replace_by_captions(conditions, *rest[:3])
        motion, semantics = condition_mask.unbind(dim=1)
        noisy = add_noise(clean, noise, sigma)
        return network.predict_velocity(
            noisy, sigma, network.drop_conditions(conditions, motion, semantics)
        ), conditions

    def loss(self, predicted: tuple[Tensor, Conditions], batch: Example) -> LossOutput:
        """Compute the loss of what `forward` returned for `batch`."""
        velocity, conditions = predicted
        blurry, sharp, clean, noise, *_ = batch
        output = velocity_loss(velocity, clean, noise)
        if not self.pre_reconstructs:
            return output
        first = self.first.loss((conditions.restored, conditions.aligned), (blurry, sharp, clean))
        return LossOutput(
            loss=output.loss + first.loss,
            metrics=output.metrics | first.metrics,
            diverged=output.diverged or first.diverged,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the pre-reconstruction."""
        return self.first.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Check the encoder. Raises UnblurError for a run that began with another one."""
        self.first.load_state_dict(state)


def replace_by_captions(conditions: Conditions, values: Tensor, mask: Tensor, captioned: Tensor) -> Conditions:
    """Replace tokens of regions by those of captions, (B, N, C) and (B, N), where `captioned`, (B,) bool, is true."""
    return replace(conditions, tokens=select_tokens(captioned, Tokens(values, mask), conditions.tokens))


def sample_noise(clean: Tensor, learning: GlowTraining, seed: int, index: int) -> tuple[Tensor, Tensor, Tensor]:
    """Draw noise like `clean`, its share in (0, 1), and the mask (2,) of conditions, motion and semantics."""
    noise = torch.randn(clean.shape, generator=make_generator(seed, "noise", index))
    sigma = sample_sigmas(1, make_generator(seed, "sigma", index))[0]
    withheld = torch.tensor([learning.motion_dropout, learning.semantics_dropout])
    return noise, sigma, torch.rand(2, generator=make_generator(seed, "withheld", index)) >= withheld


def velocity_loss(velocity: Tensor, clean: Tensor, noise: Tensor) -> LossOutput:
    """Compute the loss of the velocity alone. Shape: (B, C, h, w) each."""
    true = velocity_target(clean, noise)
    error = F.mse_loss(velocity.float(), true)
    diverged = not error.item() < WORSE_THAN_NOTHING * true.square().mean().item()
    return LossOutput(loss=error, metrics={"velocity": round(error.item(), 5)}, diverged=diverged)
