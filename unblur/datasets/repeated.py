"""Simulated pairs used several times, each time turned another way: simulation costs a fraction of the time."""

from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock

from torch import Tensor

from unblur.blur import MotionField
from unblur.datasets.orientation import apply_dihedral
from unblur.datasets.simulated import SimulatedPair, SimulatedPairs


@dataclass(frozen=True)
class AugmentedPair:
    """A simulated pair in one of eight orientations."""

    pair: SimulatedPair
    orientation: int

    @property
    def blurry(self) -> Tensor:
        """(3, P, P) sRGB in [0, 1]."""
        return apply_dihedral(self.pair.blurry, self.orientation)

    @property
    def sharp(self) -> Tensor:
        """(3, P, P) sRGB in [0, 1]."""
        return apply_dihedral(self.pair.sharp, self.orientation)

    @property
    def upright(self) -> Tensor:
        """(3, P, P) sRGB in [0, 1]."""
        return self.pair.upright

    def fit_ends(self, stride_px: int) -> MotionField:
        """Start and end of the true motion's quadratic fit at every `stride_px`th pixel, which must divide P."""
        return self.pair.fit_ends(stride_px).apply_dihedral(self.orientation)


class RepeatedPairs:
    """An endless list of pairs that shows every one of `pairs` `repeats` times.

    Item i is the rendering of pair `i // repeats - (i % repeats) * apart`, in one of eight orientations, so that
    `apart * repeats` other items lie between two uses of a pair. An item depends on its index alone, not on the order
    of access. Numbers below zero are pairs like all others, so that the first items are as varied as the last.
    """

    def __init__(self, pairs: SimulatedPairs, repeats: int, apart: int) -> None:
        self.pairs, self.repeats, self.apart = pairs, repeats, apart
        self._cached: OrderedDict[int, Future[SimulatedPair]] = OrderedDict()
        self._lock = Lock()

    def __getitem__(self, index: int) -> AugmentedPair:
        if self.repeats == 1:
            return AugmentedPair(self.pairs[index], 0)
        number, use = divmod(index, self.repeats)
        # 3 and 8 have no common factor: the uses of a pair differ, and go through all orientations.
        return AugmentedPair(self._render(number - use * self.apart), 3 * use % 8)

    def _render(self, number: int) -> SimulatedPair:
        with self._lock:
            made_by_another = number in self._cached
            future = self._cached.setdefault(number, Future())
            self._cached.move_to_end(number)
            # Each use comes after `apart * repeats` others; a few more, because threads do not keep step.
            while len(self._cached) > self.repeats * (self.apart + self.apart // 8 + 2):
                self._cached.popitem(last=False)
        if made_by_another:
            return future.result()
        try:
            pair = self.pairs[number]
        except BaseException as error:
            future.set_exception(error)
            raise
        future.set_result(pair)
        return pair
