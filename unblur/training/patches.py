"""Builds the patches of a run: simulated, real pairs, or several sources mixed."""

from dataclasses import replace
from pathlib import Path
from typing import assert_never

from unblur.blur import Camera
from unblur.datasets import (
    Mixture,
    PairPatches,
    PairSet,
    Patch,
    Patches,
    Photographs,
    RepeatedPairs,
    SimulatedBlur,
    SyntheticText,
)
from unblur.datasets.repeated import AugmentedPair
from unblur.datasets.shard_files import holds_shards
from unblur.datasets.shard_patches import ShardPatches
from unblur.datasets.signs import draw_signs
from unblur.datasets.simulated import PatchSampling, SimulatedPairs
from unblur.errors import UnblurError
from unblur.seeds import seed_for
from unblur.training.progressive import PatchPhase, ProgressivePatches, list_phases
from unblur.training.recipe import Recipe


def build_patches(recipe: Recipe, photos: Photographs | None, device: str) -> Patches[Patch]:
    """Build the training patches of `recipe`; `photos` are blurred. Raises UnblurError when something is missing."""
    if photos is None and recipe.data.needs_photos:
        raise UnblurError(f"{recipe.name} learns from simulated blur; give a folder of sharp photographs (--photos).")
    return ProgressivePatches(list_phases(recipe), lambda phase: _mix(recipe, phase, photos, device))


def build_simulated_patches(recipe: Recipe, photos: Photographs | None, device: str) -> Patches[AugmentedPair]:
    """Simulate patches of `photos` with the recipe's own camera; their true motion is known.

    Raises UnblurError when there are none, or something else is to be mixed in.
    """
    if photos is None or recipe.data.extra_sources:
        raise UnblurError(
            f"{recipe.name} learns true motion, which only its own simulator provides; give a folder of sharp "
            "photographs (--photos), and no other sources."
        )
    return ProgressivePatches(
        list_phases(recipe),
        lambda phase: _build_simulated(recipe, phase, recipe.data.camera, recipe.seed, photos, device, share=1.0),
    )


def _mix(recipe: Recipe, phase: PatchPhase, photos: Photographs | None, device: str) -> Patches[Patch]:
    sources: list[Patches[Patch]] = []
    shares: list[float] = []
    if recipe.data.camera_share > 0:
        share = recipe.data.camera_share
        sources.append(_build_simulated(recipe, phase, recipe.data.camera, recipe.seed, photos, device, share=share))
        shares.append(share)
    for place, ingredient in enumerate(recipe.data.extra_sources):
        # Of its own, lest two cameras always show the same corner of the same photograph.
        seed = seed_for(recipe.seed, "mixed in", place)
        match ingredient:
            case SimulatedBlur(camera=camera):
                sources.append(_build_simulated(recipe, phase, camera, seed, photos, device, share=ingredient.share))
            case SyntheticText(camera=camera):
                assert photos is not None
                signs = draw_signs(ingredient.count, ingredient.signs, photos)
                sources.append(_build_simulated(recipe, phase, camera, seed, signs, device, share=ingredient.share))
            case PairSet() if holds_shards(Path(ingredient.folder)):
                sampling = _make_sampling(recipe, phase)
                sources.append(ShardPatches(Path(ingredient.folder), sampling, seed, ingredient.holdout))
            case PairSet():
                sources.append(PairPatches(ingredient.find_training_files(), _make_sampling(recipe, phase), seed))
            case _:
                assert_never(ingredient)
        shares.append(ingredient.share)
    return sources[0] if len(sources) == 1 else Mixture(sources, shares)


def _build_simulated(
    recipe: Recipe,
    phase: PatchPhase,
    camera: Camera,
    seed: int,
    photos: Photographs | None,
    device: str,
    *,
    share: float,
) -> RepeatedPairs:
    """Simulate one source's pairs; `share` is the source's share of all patches.

    Every source keeps its pairs in memory until their last use. A rare source needs a smaller gap for the same number
    of steps between two uses, and the sources together hold no more pairs than a single one would.
    """
    assert photos is not None
    pairs = SimulatedPairs(photos, camera, _make_sampling(recipe, phase), seed, device)
    return RepeatedPairs(pairs, recipe.data.repeats, max(1, round(recipe.data.repeat_gap * share)))


def _make_sampling(recipe: Recipe, phase: PatchPhase) -> PatchSampling:
    return replace(recipe.data.sampling, patch_px=phase.patch_px)
