"""Learning to generate from patches that are kept: the denoiser, alignment and tokens learn, all else is frozen."""

import hashlib
from pathlib import Path
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models import GlowConfig, GlowDeblur
from unblur.models.flow import noised
from unblur.models.glow import Conditions, Seen
from unblur.training.diffusion import drawn, judged
from unblur.training.kept_patches import KeptOf, KeptPatches
from unblur.training.pre_reconstruction import PreReconstructionTask
from unblur.training.recipe import Recipe
from unblur.training.task import Example, Task, Verdict


class KeptDiffusionTask(Task):
    """Minimises the squared error of the velocity and the distance of the aligned feature from the sharp latents."""

    def __init__(self, source: PreReconstructionTask, recipe: Recipe, folder: Path) -> None:
        """`source`: makes patches and encodes them; `folder` keeps as many as the recipe says."""
        assert isinstance(recipe.model, GlowConfig)
        self.source, self.recipe, self.folder = source, recipe, folder
        self.aligns = recipe.model.pre_reconstruction is not None
        self.patches: KeptPatches | None = None

    def look_with(self, network: nn.Module) -> None:
        """See with the hourglass, the motion estimator and the semantic prior, all of them frozen.

        Raises UnblurError when the folder keeps the patches of other ones.
        """
        network, recipe = cast(GlowDeblur, network), self.recipe
        of = KeptOf(
            camera=recipe.camera,
            sampling=recipe.sampling,
            uses=recipe.uses,
            uses_apart=recipe.uses_apart,
            mixed_in=recipe.mixed_in,
            seed=recipe.seed,
            encoder=self.source.encoder.sha256,
            network=_sha256_of_frozen(network),
        )
        assert recipe.glow.kept is not None
        self.patches = KeptPatches(self.source, network, recipe.glow.kept, self.folder, of)

    def example(self, index: int) -> Example:
        """(restored, coarse, motion, regions, clean, noise, sigma, told), see `Seen` and `drawn`."""
        assert self.patches is not None
        seen, clean = self.patches[index]
        random = drawn(clean, self.recipe.glow, self.recipe.seed, index)
        return seen.restored, seen.coarse, seen.motion, seen.regions, clean, *random

    def answers(self, model: nn.Module, batch: Example) -> tuple[Tensor, Conditions]:
        """The velocity, and what it was told before anything was withheld."""
        network = cast(GlowDeblur, model)
        restored, coarse, motion, regions, clean, noise, sigma, told = batch
        conditions = network.conditions(Seen(restored=restored, coarse=coarse, motion=motion, regions=regions))
        heard = network.told(conditions, *told.unbind(dim=1))
        return network.velocity(noised(clean, noise, sigma), sigma, heard), conditions

    def judge(self, answers: tuple[Tensor, Conditions], batch: Example) -> Verdict:
        """What `answers` gives; what `example` does."""
        velocity, conditions = answers
        *_, clean, noise, _, _ = batch
        verdict = judged(velocity, clean, noise)
        if not self.aligns:
            return verdict
        alignment = F.mse_loss(conditions.aligned.float(), clean)
        return Verdict(
            loss=verdict.loss + self.recipe.glow.alignment * alignment,
            measured=verdict.measured | {"alignment": round(alignment.item(), 5)},
            hopeless=verdict.hopeless or not bool(alignment.isfinite()),
        )

    def state_dict(self) -> dict[str, Any]:
        """The encoder that the run is bound to."""
        return self.source.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises UnblurError for a run that began with another encoder."""
        self.source.load_state_dict(state)


def _sha256_of_frozen(network: GlowDeblur) -> str:
    digest = hashlib.sha256()
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            digest.update(name.encode())
            digest.update(parameter.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
