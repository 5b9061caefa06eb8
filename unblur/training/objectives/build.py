"""Builds the training objective of a recipe."""

from pathlib import Path
from typing import assert_never

import torch

from unblur.checkpoints.folder import BUNDLED_RESTORER, load_checkpoint
from unblur.checkpoints.latent_spaces import FrozenEncoder
from unblur.checkpoints.teacher import load_teacher
from unblur.datasets import PhotoFolder
from unblur.errors import UnblurError
from unblur.models import GlowConfig, SemanticPriorConfig
from unblur.models.pre_reconstruction import STRIDE_PX
from unblur.training.objective_settings import (
    AutoencoderTraining,
    GlowTraining,
    MotionTraining,
    PriorTraining,
    RestorationTraining,
)
from unblur.training.objectives.autoencoding import AutoencodingObjective
from unblur.training.objectives.cached_flow_matching import CachedFlowMatchingObjective
from unblur.training.objectives.flow_matching import FlowMatchingObjective
from unblur.training.objectives.motion import MotionObjective
from unblur.training.objectives.objective import Objective
from unblur.training.objectives.patch_captions import PatchCaptions
from unblur.training.objectives.pre_reconstruction import PreReconstructionObjective
from unblur.training.objectives.prior_distillation import PriorDistillationObjective
from unblur.training.objectives.restoration import RestorationObjective
from unblur.training.patches import build_patches, build_simulated_patches
from unblur.training.progressive import list_phases
from unblur.training.recipe import Recipe
from unblur.training.restoration_loss import RestorationLoss


def build_objective(
    recipe: Recipe,
    photos: PhotoFolder | None,
    device: str = "cpu",
    encoder: FrozenEncoder | None = None,
    cache: Path | None = None,
) -> Objective:
    """Build the objective of `recipe` on `photos`; blur is simulated on `device`.

    `encoder` is the result of `load_frozen_encoder` for the recipe's network, and `cache` the folder of cached
    features, for recipes that cache them. Raises UnblurError when the recipe needs something that is missing.
    """
    match recipe.objective:
        case RestorationTraining(losses=losses, loss_floor=floor):
            criterion = RestorationLoss(losses, floor, device)
            return RestorationObjective(build_patches(recipe, photos, device), criterion, floor)
        case MotionTraining(reblur_weight=weight):
            return MotionObjective(build_simulated_patches(recipe, photos, device), weight)
        case PriorTraining():
            return _build_prior_distillation(recipe, photos, device)
        case AutoencoderTraining() as settings:
            patches = build_patches(recipe, photos, device)
            return AutoencodingObjective(
                patches, settings, recipe.schedule.steps, recipe.seed, device, encoder, precision=recipe.precision
            )
        case GlowTraining() as settings:
            pre_reconstruction = _build_pre_reconstruction(recipe, settings, photos, device, encoder)
            if not isinstance(recipe.model, GlowConfig):
                return pre_reconstruction
            captions = None
            if settings.captions is not None:
                captions = PatchCaptions(settings.captions, recipe.model.denoiser.token_channels, device)
            if settings.cache_size is not None:
                assert cache is not None
                return CachedFlowMatchingObjective(pre_reconstruction, recipe, cache, captions)
            aligns = recipe.model.pre_reconstruction is not None
            return FlowMatchingObjective(pre_reconstruction, recipe.seed, pre_reconstructs=aligns, captions=captions)
    assert_never(recipe.objective)


def _build_prior_distillation(recipe: Recipe, photos: PhotoFolder | None, device: str) -> PriorDistillationObjective:
    assert isinstance(recipe.model, SemanticPriorConfig)
    restorer = _load_bundled_restorer(device) if recipe.model.two_pass else None
    teacher = load_teacher(recipe.model.backbone).to(device)
    return PriorDistillationObjective(build_patches(recipe, photos, device), teacher, restorer)


def _load_bundled_restorer(device: str) -> torch.nn.Module:
    model = load_checkpoint(BUNDLED_RESTORER).model
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _build_pre_reconstruction(
    recipe: Recipe, settings: GlowTraining, photos: PhotoFolder | None, device: str, encoder: FrozenEncoder | None
) -> PreReconstructionObjective:
    odd = [phase.patch_px for phase in list_phases(recipe) if phase.patch_px % STRIDE_PX]
    if odd:
        raise UnblurError(f"{recipe.name} has patches of {odd[0]} px; latents need multiples of {STRIDE_PX} px.")
    assert encoder is not None
    return PreReconstructionObjective(build_patches(recipe, photos, device), encoder, settings, device)
