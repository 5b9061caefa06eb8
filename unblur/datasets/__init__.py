"""Where pairs of a blurry and a sharp photograph come from."""

from unblur.datasets.ingredients import Ingredient, PairSet, SignBlur, SimulatedBlur
from unblur.datasets.mixture import Mixture
from unblur.datasets.pair import Pair, Patch, Patches
from unblur.datasets.pair_folder import PairFolder
from unblur.datasets.pair_patches import PairPatches
from unblur.datasets.photo_folder import PhotoFolder, Photographs
from unblur.datasets.reused import ReusedPairs
from unblur.datasets.simulated import PairRecord, SimulatedPair, SimulatedPairs

__all__ = [
    "Ingredient",
    "Mixture",
    "Pair",
    "PairFolder",
    "PairPatches",
    "PairRecord",
    "PairSet",
    "Patch",
    "Patches",
    "PhotoFolder",
    "Photographs",
    "ReusedPairs",
    "SignBlur",
    "SimulatedBlur",
    "SimulatedPair",
    "SimulatedPairs",
]
