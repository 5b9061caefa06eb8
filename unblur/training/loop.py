"""The training loop. Everything random is keyed by the step, so a resumed run equals an uninterrupted one."""

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch

from unblur.checkpoints.old_names import use_former_cache
from unblur.datasets import PhotoFolder
from unblur.errors import UnblurError
from unblur.seeds import seed_for
from unblur.training.batches import batches, check_batches
from unblur.training.initialization import InitFrom, load_frozen_encoder
from unblur.training.objectives.build import build_objective
from unblur.training.objectives.objective import LossOutput, Objective
from unblur.training.processes import find_process_group
from unblur.training.recipe import Recipe
from unblur.training.run_folder import RunFolder
from unblur.training.state import TrainState
from unblur.training.step import take_step

Begin = Callable[[Recipe], None]
"""Called once before the first step, by the first process alone, with the recipe as the run computes it."""

Progress = Callable[[int, dict[str, float]], None]
"""Called after every step, by the first process alone, with the number of steps done and the step's metrics."""


def train(
    recipe: Recipe,
    photos: Path | None,
    run: Path,
    *,
    init: InitFrom = InitFrom(),
    latent_encoder: Path | None = None,
    device: str = "cpu",
    on_begin: Begin = lambda _recipe: None,
    on_step: Progress = lambda _step, _metrics: None,
) -> None:
    """Train `recipe` on the sharp photographs in `photos`, if it needs any; `run` becomes the checkpoint folder.

    An interrupted run continues when it is called again. `init` names the checkpoints that a new run begins with, and
    `latent_encoder` the frozen encoder of objectives on latents. Processes that were started together share each batch.
    The precision is chosen when the run begins, recorded in its recipe, and fixed from then on. Raises UnblurError when
    `run` holds another recipe, when `device` only emulates its bfloat16, or when training diverges.
    """
    processes = find_process_group(device)
    device = processes.device or device
    folder = RunFolder(run, recipe, device, processes)
    recipe = folder.recipe
    objective: Objective | None = None
    if not folder.is_finished:
        sharp = PhotoFolder(photos) if photos is not None and recipe.data.needs_photos else None
        encoder = load_frozen_encoder(recipe.model, latent_encoder, device)
        cache = run / "cache"
        use_former_cache(run, cache)
        objective = build_objective(recipe, sharp, device, encoder, cache)
        check_batches(recipe, objective, processes)
    state = TrainState(recipe, objective, device, init=init, saved=folder.take_saved(), run=run)
    folder.begin(state.step)
    if objective is None:
        # The run may have been killed after its last state was written and before its checkpoint was.
        folder.save(state, objective)
        return
    state.model.train()
    if processes.is_first:
        on_begin(recipe)
    began = time.perf_counter()
    for micro_batches in batches(recipe, objective, state.step, processes):
        waited_s = time.perf_counter() - began
        rate = state.set_learning_rate(recipe)
        # Dropout (MIMO-UNet+) draws from PyTorch's own generator.
        torch.manual_seed(seed_for(recipe.seed, "dropout", state.step))
        output, norm = take_step(
            state.model,
            state.optimizer,
            objective,
            micro_batches,
            recipe.optimization.clip_norm,
            processes,
            precision=recipe.precision,
        )
        if output.diverged or not math.isfinite(norm):
            raise _make_divergence_error(run, state.step, output, norm)
        state.update_average()
        state.step += 1
        seconds = time.perf_counter() - began
        metrics = {
            **output.metrics,
            "gradient_norm": round(norm, 5),
            "learning_rate": rate,
            "seconds": round(seconds, 4),
            "waited_share": round(waited_s / seconds, 4),
        }
        folder.log(state.step, metrics)
        if folder.is_checkpoint_due(state.step):
            folder.save(state, objective)
        if processes.is_first:
            on_step(state.step, metrics)
        began = time.perf_counter()
    # The checkpoint is there, whichever process returns first.
    processes.wait()


def _make_divergence_error(run: Path, step: int, output: LossOutput, norm: float) -> UnblurError:
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in output.metrics.items())
    return UnblurError(
        f"Training stopped at step {step + 1}: the loss exploded ({numbers}, gradient {norm:.3g}); "
        f"{run} keeps the last good state; lower peak_learning_rate or clip_norm in the recipe."
    )
