"""Builds the training objective of a recipe."""

from pathlib import Path
from typing import assert_never

import torch

from unblur.checkpoints.folder import BUNDLED_RESTORER, load_checkpoint
from unblur.checkpoints.latent_spaces import FrozenEncoder
from unblur.checkpoints.teacher import load_teacher
from unblur.datasets import PhotoFolder
from unblur.errors import UnblurError
from unblur.models import (
    AutoencoderConfig,
    BlurClassifierConfig,
    GlowConfig,
    KernelEstimatorConfig,
    LatentDecoderConfig,
    MotionEstimatorConfig,
    PreReconstructionConfig,
    RestorerConfig,
    SemanticPriorConfig,
    ShakeFusionConfig,
)
from unblur.models.pre_reconstruction import STRIDE_PX
from unblur.training.objectives.autoencoding import AutoencodingObjective
from unblur.training.objectives.cached_flow_matching import CachedFlowMatchingObjective
from unblur.training.objectives.flow_matching import FlowMatchingObjective
from unblur.training.objectives.motion import MotionObjective
from unblur.training.objectives.objective import Objective
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
    if isinstance(recipe.model, RestorerConfig):
        criterion = RestorationLoss(recipe.losses, recipe.loss_floor, device)
        return RestorationObjective(build_patches(recipe, photos, device), criterion, recipe.loss_floor)
    match recipe.model:
        case MotionEstimatorConfig():
            return MotionObjective(build_simulated_patches(recipe, photos, device), recipe.reblur_weight)
        case SemanticPriorConfig(backbone=backbone, two_pass=twice):
            restorer = _load_bundled_restorer(device) if twice else None
            return PriorDistillationObjective(
                build_patches(recipe, photos, device), load_teacher(backbone).to(device), restorer
            )
        case PreReconstructionConfig():
            return _build_pre_reconstruction(recipe, photos, device, encoder)
        case GlowConfig(pre_reconstruction=first):
            shared = _build_pre_reconstruction(recipe, photos, device, encoder)
            if recipe.glow.cache_size is not None:
                assert cache is not None
                return CachedFlowMatchingObjective(shared, recipe, cache)
            return FlowMatchingObjective(shared, recipe.seed, pre_reconstructs=first is not None)
        case AutoencoderConfig() | LatentDecoderConfig():
            patches = build_patches(recipe, photos, device)
            return AutoencodingObjective(
                patches, recipe.reconstruction, recipe.steps, recipe.seed, device, encoder, precision=recipe.precision
            )
        case KernelEstimatorConfig() | ShakeFusionConfig() | BlurClassifierConfig():
            raise UnblurError(
                f"Recipes do not train the network of {recipe.name}; use experiments.train_kernel_estimator, "
                "experiments.train_shake_fusion or experiments.train_blur_classifier."
            )
    assert_never(recipe.model)


def _load_bundled_restorer(device: str) -> torch.nn.Module:
    model = load_checkpoint(BUNDLED_RESTORER).model
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _build_pre_reconstruction(
    recipe: Recipe, photos: PhotoFolder | None, device: str, encoder: FrozenEncoder | None
) -> PreReconstructionObjective:
    odd = [phase.patch_px for phase in list_phases(recipe) if phase.patch_px % STRIDE_PX]
    if odd:
        raise UnblurError(f"{recipe.name} has patches of {odd[0]} px; latents need multiples of {STRIDE_PX} px.")
    assert encoder is not None
    return PreReconstructionObjective(build_patches(recipe, photos, device), encoder, recipe.glow, device)
