"""Recipes by name: the same names everywhere, and the numbers of the papers."""

from dataclasses import replace
from functools import partial
from typing import get_args

import pytest

from unblur import recipes
from unblur.config import from_json, to_json
from unblur.models import PriorConfig, RestorerConfig
from unblur.names import RecipeName
from unblur.training.learning_rate import compute_learning_rate
from unblur.training.progressive import list_phases
from unblur.training.recipe import Recipe

HOSTS = ("unet", "mimo-unet", "mimo-unet+", "mprnet", "nafnet", "nafnet-64", "restormer")


def rate(recipe: Recipe, share: float) -> float:
    """The learning rate after a share of the run."""
    step = min(recipe.schedule.steps - 1, round(share * recipe.schedule.steps))
    of = partial(
        compute_learning_rate,
        recipe.schedule.decay,
        steps=recipe.schedule.steps,
        warmup_steps=recipe.schedule.warmup_steps,
    )
    return of(step, peak=recipe.schedule.peak_learning_rate, final=recipe.schedule.final_learning_rate)


@pytest.mark.parametrize("name", get_args(RecipeName))
def test_every_recipe_is_json(name: RecipeName) -> None:
    recipe = recipes.find_recipe(name)
    assert from_json(to_json(recipe), Recipe) == recipe


@pytest.mark.parametrize("name", HOSTS)
def test_a_host_differs_from_the_same_with_a_prior_by_the_prior_alone(name: RecipeName) -> None:
    plain, guided = recipes.find_recipe(name), recipes.find_recipe(f"{name}-prior")  # type: ignore[arg-type]
    assert isinstance(plain.model, RestorerConfig)
    assert guided.model == replace(plain.model, prior=PriorConfig())
    assert replace(guided, name=plain.name, model=plain.model) == plain


@pytest.mark.parametrize(
    ("name", "at_shares", "batch", "patch_px"),
    [
        ("mimo-unet", {0: 1e-4, 499 / 3000: 1e-4, 501 / 3000: 5e-5, 1: 1e-4 / 32}, 4, 256),
        ("mprnet", {3 / 3000: 2e-4, 1: 1e-6}, 16, 256),
        ("nafnet", {0: 1e-3, 0.5: 5e-4, 1: 1e-7}, 32, 256),
        ("nafnet-64", {0: 1e-3, 0.5: 5e-4, 1: 1e-7}, 64, 256),
        ("restormer", {0: 3e-4, 91 / 300: 3e-4, 1: 1e-6}, 8, 128),
    ],
)
def test_rates_batches_and_patches_are_those_of_the_papers(
    name: RecipeName, at_shares: dict[float, float], batch: int, patch_px: int
) -> None:
    recipe = recipes.find_recipe(name)
    for share, expected in at_shares.items():
        assert rate(recipe, share) == pytest.approx(expected, rel=2e-3)
    assert (recipe.schedule.batch, recipe.data.sampling.patch_px) == (batch, patch_px)


def test_restormers_patches_grow_at_the_steps_of_the_paper() -> None:
    phases = list_phases(recipes.find_recipe("restormer"))
    assert [phase.first_step // 1000 for phase in phases] == [0, 92, 156, 204, 240, 276]
    assert [phase.patch_px for phase in phases] == [128, 160, 192, 256, 320, 384]
    assert [phase.batch for phase in phases] == [8, 5, 4, 2, 1, 1]
