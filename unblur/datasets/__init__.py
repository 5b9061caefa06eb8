"""Sources of pairs of a blurry and a sharp photograph."""

from unblur.datasets.mixture import Mixture
from unblur.datasets.pair import Pair, Patch, Patches
from unblur.datasets.pair_folder import PairFolder
from unblur.datasets.pair_patches import PairPatches
from unblur.datasets.photo_folder import PhotoFolder, Photographs
from unblur.datasets.repeated import RepeatedPairs
from unblur.datasets.simulated import PairRecord, SimulatedPair, SimulatedPairs
from unblur.datasets.sources import DataSource, PairSet, SimulatedBlur, SyntheticText

__all__ = [
    "DataSource",
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
    "RepeatedPairs",
    "SimulatedBlur",
    "SimulatedPair",
    "SimulatedPairs",
    "SyntheticText",
]
