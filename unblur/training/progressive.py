"""Progressive learning: the examples of a step and their size, which may grow during a run (Restormer).

Both depend on the recipe and the number of the step alone, so a resumed run gets the examples of an uninterrupted one.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Generic

from unblur.datasets import Patches
from unblur.datasets.pair import PatchType
from unblur.training.recipe import Recipe

CACHED_PHASES = 2
"""Number of phases whose patches are in memory: near a border threads still make examples of the phase before."""


@dataclass(frozen=True, kw_only=True)
class PatchPhase:
    """Steps in a row with patches and batches of one size."""

    first_step: int
    first_example: int
    patch_px: int
    batch: int

    def examples(self, step: int) -> range:
        """Return the numbers of the examples of `step`, which is in this phase."""
        first = self.first_example + (step - self.first_step) * self.batch
        return range(first, first + self.batch)


def list_phases(recipe: Recipe) -> list[PatchPhase]:
    """Return the phases in their order. Short runs may have phases without a step."""
    schedule, patch_px = recipe.schedule, recipe.data.sampling.patch_px
    phases = [PatchPhase(first_step=0, first_example=0, patch_px=patch_px, batch=schedule.batch)]
    for stage in schedule.progressive:
        first_step = round(stage.start * schedule.steps)
        first_example = phases[-1].examples(first_step).start
        phases.append(
            PatchPhase(first_step=first_step, first_example=first_example, patch_px=stage.patch_px, batch=stage.batch)
        )
    return phases


def find_phase(phases: list[PatchPhase], step: int) -> PatchPhase:
    """Return the phase of a step, counted from 0."""
    return phases[bisect_right(phases, step, key=lambda phase: phase.first_step) - 1]


class ProgressivePatches(Generic[PatchType]):
    """Endless list of patches, each in the size of its phase."""

    def __init__(self, phases: list[PatchPhase], patches_of: Callable[[PatchPhase], Patches[PatchType]]) -> None:
        self.phases, self.patches_of = phases, patches_of
        # The first is built at once, so that missing files are reported before anything is written.
        self._cached = OrderedDict({0: patches_of(phases[0])})
        self._lock = Lock()

    def __getitem__(self, index: int, /) -> PatchType:
        place = bisect_right(self.phases, index, key=lambda phase: phase.first_example) - 1
        with self._lock:
            if place not in self._cached:
                self._cached[place] = self.patches_of(self.phases[place])
                if len(self._cached) > CACHED_PHASES:
                    self._cached.popitem(last=False)
            patches = self._cached[place]
        return patches[index]
