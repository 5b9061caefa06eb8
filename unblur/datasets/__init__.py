"""Where pairs of a blurry and a sharp photograph come from."""

from unblur.datasets.pair import Pair
from unblur.datasets.pair_folder import PairFolder
from unblur.datasets.photo_folder import PhotoFolder
from unblur.datasets.reused import ReusedPairs
from unblur.datasets.simulated import PairRecord, SimulatedPair, SimulatedPairs

__all__ = ["Pair", "PairFolder", "PairRecord", "PhotoFolder", "ReusedPairs", "SimulatedPair", "SimulatedPairs"]
