"""Where pairs of a blurry and a sharp photograph come from."""

from unblur.datasets.pair import Pair
from unblur.datasets.pair_folder import PairFolder
from unblur.datasets.photo_folder import PhotoFolder
from unblur.datasets.simulated import SimulatedPatches

__all__ = ["Pair", "PairFolder", "PhotoFolder", "SimulatedPatches"]
