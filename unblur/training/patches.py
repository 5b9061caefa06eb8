"""Where the patches of a run come from: the simulator, real pairs, or several of them mixed."""

from typing import assert_never

from unblur.blur import Camera
from unblur.datasets import Mixture, PairPatches, PairSet, Patches, PhotoFolder, ReusedPairs, SimulatedBlur
from unblur.datasets.simulated import SimulatedPairs
from unblur.errors import UnblurError
from unblur.seeds import seed_for
from unblur.training.recipe import Recipe


def patches_of(recipe: Recipe, photos: PhotoFolder | None, device: str) -> Patches:
    """All that `recipe` learns from, `photos` being what is blurred. Raises UnblurError when something is missing."""
    sources: list[Patches] = []
    shares: list[float] = []
    if recipe.camera_share > 0:
        sources.append(simulated_patches(recipe, recipe.camera, recipe.seed, photos, device))
        shares.append(recipe.camera_share)
    for place, ingredient in enumerate(recipe.mixed_in):
        # Of its own, lest two cameras always show the same corner of the same photograph.
        seed = seed_for(recipe.seed, "mixed in", place)
        match ingredient:
            case SimulatedBlur(camera=camera):
                sources.append(simulated_patches(recipe, camera, seed, photos, device))
            case PairSet():
                sources.append(PairPatches(ingredient.training_files(), recipe.sampling, seed))
            case _:
                assert_never(ingredient)
        shares.append(ingredient.share)
    return sources[0] if len(sources) == 1 else Mixture(sources, shares)


def simulated_patches(
    recipe: Recipe, camera: Camera, seed: int, photos: PhotoFolder | None, device: str
) -> ReusedPairs:
    """What `camera` makes of `photos`, simulated on `device`. Raises UnblurError when there are none."""
    if photos is None:
        raise UnblurError(f"{recipe.name} learns from simulated blur; give a folder of sharp photographs (--photos).")
    return ReusedPairs(SimulatedPairs(photos, camera, recipe.sampling, seed, device), recipe.uses, recipe.uses_apart)
