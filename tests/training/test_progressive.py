"""Patches that grow: every example belongs to one step, in any order of access."""

from dataclasses import replace
from pathlib import Path

import torch

from unblur.datasets import PhotoFolder
from unblur.datasets.simulated import PatchSampling
from unblur.recipes import find_recipe
from unblur.recipes.smoke import smoke
from unblur.training.objectives.build import build_objective
from unblur.training.progressive import ProgressivePatches, find_phase, list_phases
from unblur.training.recipe import PatchStage

RECIPE = replace(
    smoke(),
    data=replace(smoke().data, sampling=PatchSampling(patch_px=32)),
    schedule=replace(
        smoke().schedule,
        steps=10,
        batch=3,
        progressive=(PatchStage(start=0.4, patch_px=48, batch=2), PatchStage(start=0.8, patch_px=64, batch=1)),
    ),
)


def test_examples_are_numbered_without_gaps() -> None:
    phases = list_phases(RECIPE)
    numbers = [number for step in range(10) for number in find_phase(phases, step).examples(step)]
    assert numbers == list(range(4 * 3 + 4 * 2 + 2 * 1))
    assert [find_phase(phases, step).patch_px for step in range(10)] == [32] * 4 + [48] * 4 + [64] * 2


def test_a_run_that_does_not_grow_numbers_its_examples_batch_by_batch() -> None:
    phases = list_phases(smoke())
    assert len(phases) == 1
    assert find_phase(phases, 7).examples(7) == range(28, 32)


def test_a_run_shorter_than_its_stages_leaves_some_out() -> None:
    phases = list_phases(replace(RECIPE, schedule=replace(RECIPE.schedule, steps=1)))
    assert find_phase(phases, 0).patch_px == 48
    phases = list_phases(
        replace(find_recipe("restormer"), schedule=replace(find_recipe("restormer").schedule, steps=2))
    )
    assert [find_phase(phases, step).batch for step in range(2)] == [8, 2]


def test_patches_have_the_size_of_their_step_in_any_order(photos: Path) -> None:
    in_order, jumping = (build_objective(RECIPE, PhotoFolder(photos)) for _ in range(2))
    shown = [in_order.example(number)[0] for number in range(22)]
    assert [patch.shape[1] for patch in shown] == [32] * 12 + [48] * 8 + [64] * 2
    for number in (21, 0, 15, 11, 12, 20):
        assert torch.equal(jumping.example(number)[0], shown[number])


def test_only_two_sizes_are_in_memory(photos: Path) -> None:
    task = build_objective(RECIPE, PhotoFolder(photos))
    for number in (0, 15, 21):
        task.example(number)
    pairs = task.patches  # type: ignore[attr-defined]
    assert isinstance(pairs, ProgressivePatches)
    assert len(pairs._cached) == 2
