"""The training loop: draw a batch, answer it, measure, step; everything that is random is keyed by the step."""

import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import assert_never

import torch

from unblur.atomic import write_atomically
from unblur.checkpoints.folder import save_checkpoint
from unblur.checkpoints.latent_spaces import FrozenEncoder
from unblur.checkpoints.teacher import load_teacher
from unblur.config import from_json, to_json
from unblur.datasets import PhotoFolder, ReusedPairs, SimulatedPairs
from unblur.errors import UnblurError
from unblur.models import (
    AutoencoderConfig,
    LatentDecoderConfig,
    MotionEstimatorConfig,
    RestorerConfig,
    SemanticPriorConfig,
    build,
)
from unblur.seeds import seed_for
from unblur.training.beginning import begin, frozen_encoder
from unblur.training.card import model_card
from unblur.training.motion import MotionTask
from unblur.training.prefetch import prefetched
from unblur.training.prior import PriorTask
from unblur.training.recipe import Recipe
from unblur.training.reconstruction import ReconstructionTask
from unblur.training.restoration import RestorationTask
from unblur.training.schedule import cosine_with_warmup
from unblur.training.state import TrainingState, load_state, save_state
from unblur.training.step import take_step
from unblur.training.task import Example, LearningTask, Task

Progress = Callable[[int, dict[str, float]], None]
"""Called after every step with the number of steps done and the step's measurements."""


def train(
    recipe: Recipe,
    photos: Path,
    run: Path,
    *,
    start_from: Path | None = None,
    prior_from: Path | None = None,
    encoder_from: Path | None = None,
    device: str = "cpu",
    on_step: Progress = lambda _step, _measured: None,
) -> None:
    """Train `recipe` on the sharp photographs in `photos`; `run` becomes the checkpoint folder.

    Goes on where an earlier call with the same recipe stopped. `start_from` and `prior_from` are checkpoints whose
    weights a new run begins with, see `begin`; `encoder_from` is the file of the frozen encoder that a decoder learns
    to undo. Raises UnblurError when the recipe differs from the run's, or the loss explodes.
    """
    recipe_json = to_json(recipe)
    torch.manual_seed(seed_for(recipe.seed, "weights"))
    model = build(recipe.model)
    encoder = frozen_encoder(recipe.model, encoder_from, device)
    state_path = run / "training_state.pt"
    if not state_path.exists():
        begin(model, recipe.model, start_from, prior_from)
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(model.parameters(), betas=recipe.betas, weight_decay=recipe.weight_decay, fused=True)
    ema = {name: value.detach().clone() for name, value in model.state_dict().items()}
    step, state = 0, None

    run.mkdir(parents=True, exist_ok=True)
    if state_path.exists():
        state = load_state(state_path)
        # Compared as recipes: a setting that has come since then with a default is no difference.
        if from_json(state["recipe"], Recipe, source=state_path) != recipe:
            raise UnblurError(f"{run} holds a run of another recipe; give another folder, or its own recipe.")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        ema = {name: value.to(device) for name, value in state["ema"].items()}
        step = state["step"]
    write_atomically(run / "recipe.json", recipe_json.encode())
    metrics = run / "metrics.jsonl"
    _forget_after(metrics, step)

    task = task_of(recipe, PhotoFolder(photos), device, encoder)
    if state is not None and isinstance(task, LearningTask):
        task.load_state_dict(state["task"])

    def save() -> None:
        latest = TrainingState(
            step=step,
            recipe=recipe_json,
            model=model.state_dict(),
            ema=ema,
            optimizer=optimizer.state_dict(),
        )
        if isinstance(task, LearningTask):
            latest["task"] = task.state_dict()
        save_state(state_path, latest)
        averaged = build(recipe.model)
        averaged.load_state_dict(ema)
        card = model_card(recipe, step)
        save_checkpoint(run, averaged, recipe.model, train_patch_px=recipe.sampling.patch_px, card=card)

    model.train()
    began = time.perf_counter()
    for shown, truth in _batches(recipe, task, step):
        waited_s = time.perf_counter() - began
        learning_rate = cosine_with_warmup(
            step, recipe.steps, recipe.warmup_steps, recipe.peak_learning_rate, recipe.final_learning_rate
        )
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        verdict, norm = take_step(model, optimizer, task, shown, truth, recipe.clip_norm)
        if verdict.hopeless or not math.isfinite(norm):
            numbers = ", ".join(f"{name} {value:.4g}" for name, value in verdict.measured.items())
            raise UnblurError(
                f"Training stopped at step {step + 1}: the loss exploded ({numbers}, gradient {norm:.3g}); "
                f"{run} keeps the last good state; lower peak_learning_rate or clip_norm in the recipe."
            )
        with torch.no_grad():
            # A young average remembers its random start, so it is kept shorter at first.
            decay = min(recipe.ema_decay, (1 + step) / (10 + step))
            # Whole numbers are places in tables (Swin's), which no training changes.
            pairs = [(ema[name], value) for name, value in model.state_dict().items() if value.is_floating_point()]
            averaged, values = map(list, zip(*pairs, strict=True))
            torch._foreach_lerp_(averaged, values, 1 - decay)
        step += 1
        seconds = time.perf_counter() - began
        measured = {
            **verdict.measured,
            "gradient_norm": round(norm, 5),
            "learning_rate": learning_rate,
            "seconds": round(seconds, 4),
            "waited_share": round(waited_s / seconds, 4),
        }
        if step % recipe.log_every == 0 or step == recipe.steps:
            with metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **measured}) + "\n")
        if step % recipe.checkpoint_every == 0 or step == recipe.steps:
            save()
        on_step(step, measured)
        began = time.perf_counter()


def task_of(recipe: Recipe, photos: PhotoFolder, device: str = "cpu", encoder: FrozenEncoder | None = None) -> Task:
    """What `recipe` teaches its network, with `photos`; blur is simulated on `device`.

    `encoder`: what `frozen_encoder` gives for the recipe's network.
    """
    simulated = SimulatedPairs(photos, recipe.camera, recipe.sampling, recipe.seed, device)
    pairs = ReusedPairs(simulated, recipe.uses, recipe.uses_apart)
    if isinstance(recipe.model, RestorerConfig):
        return RestorationTask(pairs, recipe.loss_floor)
    match recipe.model:
        case MotionEstimatorConfig():
            return MotionTask(pairs)
        case SemanticPriorConfig():
            return PriorTask(pairs, load_teacher(recipe.model.backbone).to(device))
        case AutoencoderConfig() | LatentDecoderConfig():
            return ReconstructionTask(pairs, recipe.reconstruction, recipe.steps, recipe.seed, device, encoder)
    assert_never(recipe.model)


def _batches(recipe: Recipe, task: Task, start: int) -> Iterator[Example]:
    """Batches of step `start` to the last: batch k holds the examples k * batch to (k + 1) * batch - 1."""

    def batch(step: int) -> Example:
        examples = [task.example(index) for index in range(step * recipe.batch, (step + 1) * recipe.batch)]
        shown, truth = zip(*examples, strict=True)
        return torch.stack(shown), torch.stack(truth)

    return prefetched(batch, range(start, recipe.steps), recipe.workers)


def _forget_after(metrics: Path, step: int) -> None:
    """Drop measurements of steps that a killed run did but never saved: they will be done again."""
    if metrics.exists():
        lines = metrics.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        write_atomically(metrics, "".join(kept).encode())
