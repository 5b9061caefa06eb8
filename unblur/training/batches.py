"""The batches of a run, keyed by the step: neither threads, nor processes, nor an interruption changes them."""

from collections.abc import Iterator

import torch

from unblur.errors import UnblurError
from unblur.training.objectives.objective import Example, Objective
from unblur.training.prefetch import prefetch
from unblur.training.processes import ProcessGroup
from unblur.training.progressive import find_phase, list_phases
from unblur.training.recipe import Recipe


def check_batches(recipe: Recipe, objective: Objective, processes: ProcessGroup) -> None:
    """Raise UnblurError when batches cannot be divided as the recipe and the number of processes require."""
    parts = processes.count * recipe.accumulate
    if parts > 1 and objective.whole_batches:
        raise UnblurError(f"{recipe.name} learns from whole batches; train it in one process, without accumulation.")
    if odd := [phase.batch for phase in list_phases(recipe) if phase.batch % parts]:
        raise UnblurError(
            f"A batch of {odd[0]} cannot be divided among {processes.count} process(es) in {recipe.accumulate} part(s) "
            "each; change batch or accumulate in the recipe, or the number of processes."
        )


def batches(recipe: Recipe, objective: Objective, start: int, processes: ProcessGroup) -> Iterator[list[Example]]:
    """Yield this process's micro-batches of every step from `start` to the last; each example is in one alone."""
    phases = list_phases(recipe)

    def batch(step: int) -> list[Example]:
        own = processes.shard(find_phase(phases, step).examples(step))
        size = len(own) // recipe.accumulate
        return [
            tuple(map(torch.stack, zip(*map(objective.example, own[first : first + size]), strict=True)))
            for first in range(0, len(own), size)
        ]

    return prefetch(batch, range(start, recipe.schedule.steps), recipe.data.workers)
