"""Flow matching on cached features: denoiser, alignment and tokens are trained, everything else is frozen."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor, nn

from unblur.checkpoints.old_names import restore_former_name
from unblur.models import GlowConfig, GlowDeblur
from unblur.models.flow import add_noise
from unblur.models.glow import Conditions, FrozenFeatures
from unblur.training.objective_settings import GlowTraining
from unblur.training.objectives.feature_cache import CacheKey, FeatureCache
from unblur.training.objectives.flow_matching import replace_by_captions, sample_noise, velocity_loss
from unblur.training.objectives.objective import Example, LossOutput, Objective
from unblur.training.objectives.patch_captions import PatchCaptions
from unblur.training.objectives.pre_reconstruction import PreReconstructionObjective
from unblur.training.recipe import Recipe


class CachedFlowMatchingObjective(Objective):
    """Minimises the squared error of the velocity and the distance of the aligned feature from the sharp latents."""

    def __init__(
        self,
        source: PreReconstructionObjective,
        recipe: Recipe,
        folder: Path,
        captions: PatchCaptions | None = None,
    ) -> None:
        """Make patches and latents with `source` and captions with `captions`, and cache their features in `folder`."""
        assert isinstance(recipe.model, GlowConfig)
        assert isinstance(recipe.objective, GlowTraining)
        self.settings = recipe.objective
        self.source, self.recipe, self.folder = source, recipe, folder
        self.aligns = recipe.model.pre_reconstruction is not None
        self.captions = captions
        self.patches: FeatureCache | None = None

    def prepare(self, network: nn.Module) -> None:
        """Open the cache for the frozen parts of the network: NAFNet, motion estimator and semantic prior.

        Raises UnblurError when the folder holds features of other weights.
        """
        network, recipe = cast(GlowDeblur, network), self.recipe
        key = CacheKey(
            camera=recipe.data.camera,
            sampling=recipe.data.sampling,
            repeats=recipe.data.repeats,
            repeat_gap=recipe.data.repeat_gap,
            extra_sources=recipe.data.extra_sources,
            seed=recipe.seed,
            encoder=self.source.encoder.sha256,
            network=_hash_frozen(network),
            # Their share changes nothing that is cached.
            captions=None if self.settings.captions is None else replace(self.settings.captions, share=1.0),
        )
        former = replace(key, network=_hash_frozen(network, restore_former_name))
        assert self.settings.cache_size is not None
        self.patches = FeatureCache(
            self.source, network, self.settings.cache_size, self.folder, key, former, self.captions
        )

    def example(self, index: int) -> Example:
        """Return (restored, coarse, motion, regions, clean, noise, sigma, condition_mask); see `FrozenFeatures`.

        With captions, their tokens (N, C), the mask of these (N,), and whether they replace regions follow.
        """
        assert self.patches is not None
        features, clean, caption = self.patches[index]
        random = sample_noise(clean, self.settings, self.recipe.seed, index)
        if self.captions is not None:
            caption = (*caption, self.captions.is_captioned(self.recipe.seed, index))
        return features.restored, features.coarse, features.motion, features.regions, clean, *random, *caption

    def forward(self, model: nn.Module, batch: Example) -> tuple[Tensor, Conditions]:
        """Predict the velocity; the conditions are returned as they are before condition dropout."""
        network = cast(GlowDeblur, model)
        restored, coarse, motion, regions, clean, noise, sigma, condition_mask, *caption = batch
        conditions = network.compute_conditions(
            FrozenFeatures(restored=restored, coarse=coarse, motion=motion, regions=regions)
        )
        if caption:
            conditions = replace_by_captions(conditions, *caption)
        masked = network.drop_conditions(conditions, *condition_mask.unbind(dim=1))
        return network.predict_velocity(add_noise(clean, noise, sigma), sigma, masked), conditions

    def loss(self, predicted: tuple[Tensor, Conditions], batch: Example) -> LossOutput:
        """Compute the loss of what `forward` returned for `batch`."""
        velocity, conditions = predicted
        _, _, _, _, clean, noise, *_ = batch
        output = velocity_loss(velocity, clean, noise)
        if not self.aligns:
            return output
        alignment = F.mse_loss(conditions.aligned.float(), clean)
        return LossOutput(
            loss=output.loss + self.settings.alignment * alignment,
            metrics=output.metrics | {"alignment": round(alignment.item(), 5)},
            diverged=output.diverged or not bool(alignment.isfinite()),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the digest of the encoder, which a run cannot change."""
        return self.source.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Check the encoder. Raises UnblurError for a run that began with another one."""
        self.source.load_state_dict(state)


def _hash_frozen(network: GlowDeblur, rename: Callable[[str], str] = str) -> str:
    """Return the digest of the frozen parameters, whose names may be changed first."""
    digest = hashlib.sha256()
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            digest.update(rename(name).encode())
            digest.update(parameter.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
