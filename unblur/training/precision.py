"""The precision of a training run: chosen when the run begins, recorded in its recipe, and the same when it resumes."""

import json
from dataclasses import replace
from pathlib import Path

import torch

from unblur.checkpoints.old_names import modernize_json
from unblur.config import from_json
from unblur.errors import UnblurError
from unblur.restoration.device import choose_precision
from unblur.training.processes import ProcessGroup
from unblur.training.recipe import Recipe


def begin_recipe(recipe: Recipe, device: str, processes: ProcessGroup) -> Recipe:
    """Replace "auto" in `recipe` by the precision of a new run: bfloat16 where it is native in every process."""
    if recipe.precision != "auto":
        return recipe
    native = choose_precision("auto", torch.device(device)) == "bfloat16"
    everywhere = processes.all_reduce_mean([float(native)]) == [1.0]
    return replace(recipe, precision="bfloat16" if everywhere else "float32")


def resume_recipe(recipe: Recipe, recorded: Recipe, run: Path) -> Recipe:
    """Return `recipe` in the precision of the existing run that it resumes, whose recipe is `recorded`.

    Raises UnblurError when they differ. "auto" accepts the precision that the run began in.
    """
    if is_recipe_of(recorded, recipe):
        return replace(recipe, precision=recorded.precision)
    if replace(recipe, precision=recorded.precision) == recorded:
        raise UnblurError(
            f"{run} was begun in {recorded.precision} and cannot change to {recipe.precision}; "
            f"resume it in {recorded.precision}, or give another folder."
        )
    raise UnblurError(f"{run} holds a run of another recipe; give another folder, or its own recipe.")


def is_recipe_of(recorded: Recipe, recipe: Recipe) -> bool:
    """Return whether the run that recorded `recorded` is a run of `recipe`."""
    expected = recorded.precision if recipe.precision == "auto" else recipe.precision
    return replace(recipe, precision=expected) == recorded


def refuse_emulation(recorded: Recipe, recipe: Recipe, device: str, run: Path) -> None:
    """Raise UnblurError when the run is in bfloat16, `device` only emulates it, and `recipe` does not name it."""
    emulated = recorded.precision == "bfloat16" and choose_precision("auto", torch.device(device)) == "float32"
    if emulated and recipe.precision == "auto":
        raise UnblurError(
            f"{run} was begun in bfloat16, which {device} emulates here many times more slowly than it computes in "
            "float32; resume the run where bfloat16 is native, accept the speed with --precision bfloat16, or give "
            "another folder to begin again in float32."
        )


def read_recorded_recipe(text: str, source: Path) -> Recipe:
    """Return the recipe that a run recorded as JSON in `source`. Raises UnblurError when it is not one.

    Runs that began before recipes had a precision computed in bfloat16, unless they recorded `half` as false.
    """
    return from_json(_add_precision(modernize_json(text)), Recipe, source)


def _add_precision(text: str) -> str:
    """Add the precision to a recipe of those versions; `from_json` reads or refuses anything else."""
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(entries, dict) or "precision" in entries or not isinstance(entries.get("half", True), bool):
        return text
    half = entries.pop("half", True)
    return json.dumps(entries | {"precision": "bfloat16" if half else "float32"})
