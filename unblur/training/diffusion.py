"""Learning to generate: noisy latents of sharp patches are shown with what is known of the blurry ones.

Source: `docs/glow.md` says what of it is GLOWDeblur's (arXiv 2601.06525), what SANA's and what ours. All that is random
about an example is drawn by its number: neither the size of a batch, nor threads, nor an interruption changes it.
"""

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models import GlowDeblur
from unblur.models.flow import drawn_sigmas, noised, true_velocity
from unblur.models.glow import Conditions
from unblur.seeds import generator_for
from unblur.training.glow_learning import GlowLearning
from unblur.training.pre_reconstruction import PreReconstructionTask
from unblur.training.task import Example, Task, Verdict

WORSE_THAN_NOTHING = 10.0
"""An error of the velocity so many times that of answering zero, where an untrained denoiser begins."""


class DiffusionTask(Task):
    """Minimises the squared error of the velocity and, at the same time, what `first` minimises.

    A network without pre-reconstruction learns the velocity alone, told the latents of the blurry patch.
    """

    def __init__(self, first: PreReconstructionTask, seed: int, *, pre_reconstructs: bool = True) -> None:
        """`pre_reconstructs`: whether the network does."""
        self.first, self.seed, self.pre_reconstructs = first, seed, pre_reconstructs

    def example(self, index: int) -> Example:
        """(blurry, sharp, clean, noise, sigma, told), and without pre-reconstruction the latents of blurry.

        As in `PreReconstructionTask`; noise (C, P/32, P/32), its share in (0, 1), and (2,) bool: whether motion and
        semantics are told.
        """
        blurry, sharp, clean = self.first.example(index)
        encoded = () if self.pre_reconstructs else (self.first.encoded(blurry),)
        return blurry, sharp, clean, *drawn(clean, self.first.learning, self.seed, index), *encoded

    def answers(self, model: nn.Module, batch: Example) -> tuple[Tensor, Conditions]:
        """The velocity, and what it was told before anything was withheld."""
        network = cast(GlowDeblur, model)
        blurry, _, clean, noise, sigma, told, *encoded = batch
        conditions: Conditions = network(blurry, encoded=encoded[0] if encoded else None)
        motion, semantics = told.unbind(dim=1)
        noisy = noised(clean, noise, sigma)
        return network.velocity(noisy, sigma, network.told(conditions, motion, semantics)), conditions

    def judge(self, answers: tuple[Tensor, Conditions], batch: Example) -> Verdict:
        """What `answers` gives; what `example` does."""
        velocity, conditions = answers
        blurry, sharp, clean, noise, *_ = batch
        verdict = judged(velocity, clean, noise)
        if not self.pre_reconstructs:
            return verdict
        first = self.first.judge((conditions.restored, conditions.aligned), (blurry, sharp, clean))
        return Verdict(
            loss=verdict.loss + first.loss,
            measured=verdict.measured | first.measured,
            hopeless=verdict.hopeless or first.hopeless,
        )

    def state_dict(self) -> dict[str, Any]:
        """That of `first`."""
        return self.first.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises UnblurError for a run that began with another encoder."""
        self.first.load_state_dict(state)


def drawn(clean: Tensor, learning: GlowLearning, seed: int, index: int) -> tuple[Tensor, Tensor, Tensor]:
    """Noise like `clean`, its share in (0, 1), and (2,) bool: whether motion and semantics are told."""
    noise = torch.randn(clean.shape, generator=generator_for(seed, "noise", index))
    sigma = drawn_sigmas(1, generator_for(seed, "sigma", index))[0]
    withheld = torch.tensor([learning.motion_withheld, learning.semantics_withheld])
    return noise, sigma, torch.rand(2, generator=generator_for(seed, "withheld", index)) >= withheld


def judged(velocity: Tensor, clean: Tensor, noise: Tensor) -> Verdict:
    """On the denoiser's answers (B, C, h, w) alone."""
    true = true_velocity(clean, noise)
    error = F.mse_loss(velocity.float(), true)
    hopeless = not error.item() < WORSE_THAN_NOTHING * true.square().mean().item()
    return Verdict(loss=error, measured={"velocity": round(error.item(), 5)}, hopeless=hopeless)
