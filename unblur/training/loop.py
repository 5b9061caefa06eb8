"""The training loop: draw a batch, answer it, measure, step; everything that is random is keyed by the step."""

import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import assert_never

import torch

from unblur.atomic import write_atomically
from unblur.checkpoints.folder import BUNDLED_RESTORER, load_checkpoint, save_checkpoint
from unblur.checkpoints.latent_spaces import FrozenEncoder
from unblur.checkpoints.teacher import load_teacher
from unblur.config import to_json
from unblur.datasets import PhotoFolder
from unblur.errors import UnblurError
from unblur.models import (
    AutoencoderConfig,
    GlowConfig,
    KernelEstimatorConfig,
    LatentDecoderConfig,
    MotionEstimatorConfig,
    PreReconstructionConfig,
    RestorerConfig,
    SemanticPriorConfig,
    ShakeFusionConfig,
    build,
)
from unblur.models.linear_dit import use_recomputation
from unblur.models.pre_reconstruction import STRIDE_PX
from unblur.seeds import seed_for
from unblur.training.beginning import begin, frozen_encoder
from unblur.training.card import model_card
from unblur.training.diffusion import DiffusionTask
from unblur.training.growth import Phase, phase_at, phases_of
from unblur.training.kept_diffusion import KeptDiffusionTask
from unblur.training.motion import MotionTask
from unblur.training.patches import patches_of, simulated_patches
from unblur.training.pre_reconstruction import PreReconstructionTask
from unblur.training.precision import begun, recorded_recipe, refuse_emulation, resumed
from unblur.training.prefetch import prefetched
from unblur.training.prior import PriorTask
from unblur.training.processes import Processes, find_processes
from unblur.training.recipe import Recipe
from unblur.training.reconstruction import ReconstructionTask
from unblur.training.restoration import RestorationTask
from unblur.training.restoration_loss import RestorationLoss
from unblur.training.schedule import learning_rate
from unblur.training.state import TrainingState, load_state, save_state
from unblur.training.step import parameter_groups, take_step
from unblur.training.task import Example, LearningTask, LookingTask, Task

Begin = Callable[[Recipe], None]
"""Called once before the first step, by the first process alone, with the recipe as the run computes it."""

Progress = Callable[[int, dict[str, float]], None]
"""Called after every step, by the first process alone, with the number of steps done and the step's measurements."""


def train(
    recipe: Recipe,
    photos: Path | None,
    run: Path,
    *,
    start_from: Path | None = None,
    prior_from: Path | None = None,
    motion_from: Path | None = None,
    hourglass_from: Path | None = None,
    encoder_from: Path | None = None,
    device: str = "cpu",
    on_begin: Begin = lambda _recipe: None,
    on_step: Progress = lambda _step, _measured: None,
) -> None:
    """Train `recipe` on the sharp photographs in `photos`, if it needs any; `run` becomes the checkpoint folder.

    Goes on where an earlier call with the same recipe stopped. `start_from`, `prior_from`, `motion_from` and
    `hourglass_from` are checkpoints whose weights a new run begins with, see `begin`; `encoder_from` is the frozen
    encoder that a decoder learns to undo, or whose latents GLOWDeblur learns. Several processes, if they were started
    together, share each batch. The precision is chosen when the run begins, recorded in its recipe, and kept from then
    on. Raises UnblurError when the recipe differs from the run's, when the run is in bfloat16 and `device` only
    emulates it, or when the loss explodes.
    """
    processes = find_processes(device)
    device = processes.device or device
    phases = phases_of(recipe)
    state_path = run / "training_state.pt"
    state = load_state(state_path) if state_path.exists() else None
    finished = state is not None and state["step"] == recipe.steps
    asked = recipe
    if state is None:
        recipe = begun(asked, device, processes)
    else:
        # Compared as recipes: a setting that has come since then with a default is no difference.
        recipe = resumed(asked, recorded_recipe(state["recipe"], state_path), run)
        if not finished:
            refuse_emulation(recipe, asked, device, run)
    task: Task | None = None
    if not finished:
        needed = PhotoFolder(photos) if photos is not None and recipe.needs_photos else None
        task = task_of(recipe, needed, device, frozen_encoder(recipe.model, encoder_from, device), run / "kept")
        _check_parts(recipe, phases, task, processes.count)
    if state is not None and isinstance(task, LearningTask):
        task.load_state_dict(state["task"])
    torch.manual_seed(seed_for(recipe.seed, "weights"))
    model = build(recipe.model)
    if state is None:
        teacher = task.teacher if isinstance(task, PriorTask) else None
        begin(model, recipe.model, start_from, prior_from, teacher, motion_from, hourglass_from)
    if state is not None:
        model.load_state_dict(state["model"])
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if recipe.recompute:
        use_recomputation(model)
    for part in recipe.frozen_parts:
        model.get_submodule(part).requires_grad_(False)
    if isinstance(task, LookingTask):
        task.look_with(model)
    groups = parameter_groups(model, recipe.backbone_share)
    optimizer = torch.optim.AdamW(groups, betas=recipe.betas, weight_decay=recipe.weight_decay, fused=True)
    ema = {name: value.detach().clone() for name, value in model.state_dict().items()}
    step = 0

    if state is not None:
        try:
            optimizer.load_state_dict(state["optimizer"])
        except ValueError as error:
            raise UnblurError(
                f"{run} was begun by a version that trained other weights of this network; give another folder."
            ) from error
        ema = {name: value.to(device) for name, value in state["ema"].items()}
        step = state["step"]
    recipe_json = to_json(recipe)
    metrics = run / "metrics.jsonl"
    if processes.is_first:
        run.mkdir(parents=True, exist_ok=True)
        write_atomically(run / "recipe.json", recipe_json.encode())
        _forget_after(metrics, step)

    def save() -> None:
        if not processes.is_first:
            return
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
        patch_px = phase_at(phases, step - 1).patch_px
        save_checkpoint(run, averaged, recipe.model, train_patch_px=patch_px, card=card)

    if task is None:
        # Perhaps the run was killed after its last state was written and before the checkpoint was.
        save()
        return
    model.train()
    if processes.is_first:
        on_begin(recipe)
    began = time.perf_counter()
    for parts in _batches(recipe, phases, task, step, processes):
        waited_s = time.perf_counter() - began
        rate = learning_rate(
            recipe.schedule,
            step,
            steps=recipe.steps,
            warmup_steps=recipe.warmup_steps,
            peak=recipe.peak_learning_rate,
            final=recipe.final_learning_rate,
        )
        # Shares are ours: a state of earlier versions has none.
        for group, own in zip(optimizer.param_groups, groups, strict=True):
            group["lr"] = rate * own["share"]
        # What a network leaves out at random (MIMO-UNet+) is drawn from PyTorch's own generator.
        torch.manual_seed(seed_for(recipe.seed, "dropout", step))
        verdict, norm = take_step(
            model, optimizer, task, parts, recipe.clip_norm, processes, precision=recipe.precision
        )
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
            "learning_rate": rate,
            "seconds": round(seconds, 4),
            "waited_share": round(waited_s / seconds, 4),
        }
        if processes.is_first and (step % recipe.log_every == 0 or step == recipe.steps):
            with metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **measured}) + "\n")
        if step % recipe.checkpoint_every == 0 or step == recipe.steps:
            save()
        if processes.is_first:
            on_step(step, measured)
        began = time.perf_counter()
    # The checkpoint is there, whichever process returns first.
    processes.wait()


def task_of(
    recipe: Recipe,
    photos: PhotoFolder | None,
    device: str = "cpu",
    encoder: FrozenEncoder | None = None,
    kept: Path | None = None,
) -> Task:
    """What `recipe` teaches its network, with `photos`; blur is simulated on `device`.

    `encoder`: what `frozen_encoder` gives for the recipe's network. `kept`: folder of the patches that the recipe
    keeps. Raises UnblurError when the recipe cannot be learnt from what there is.
    """
    if isinstance(recipe.model, RestorerConfig):
        loss = RestorationLoss(recipe.losses, recipe.loss_floor, device)
        return RestorationTask(patches_of(recipe, photos, device), loss, recipe.loss_floor)
    match recipe.model:
        case MotionEstimatorConfig():
            return MotionTask(simulated_patches(recipe, photos, device), recipe.reblur_weight)
        case SemanticPriorConfig(backbone=backbone, looks_twice=twice):
            restorer = _bundled_restorer(device) if twice else None
            return PriorTask(patches_of(recipe, photos, device), load_teacher(backbone).to(device), restorer)
        case PreReconstructionConfig():
            return _pre_reconstruction_task(recipe, photos, device, encoder)
        case GlowConfig(pre_reconstruction=first):
            shared = _pre_reconstruction_task(recipe, photos, device, encoder)
            if recipe.glow.kept is not None:
                assert kept is not None
                return KeptDiffusionTask(shared, recipe, kept)
            return DiffusionTask(shared, recipe.seed, pre_reconstructs=first is not None)
        case AutoencoderConfig() | LatentDecoderConfig():
            patches = patches_of(recipe, photos, device)
            return ReconstructionTask(
                patches, recipe.reconstruction, recipe.steps, recipe.seed, device, encoder, precision=recipe.precision
            )
        case KernelEstimatorConfig() | ShakeFusionConfig():
            raise UnblurError(
                f"Recipes do not train the network of {recipe.name}; use experiments.train_kernel_estimator or "
                "experiments.train_shake_fusion."
            )
    assert_never(recipe.model)


def _bundled_restorer(device: str) -> torch.nn.Module:
    model = load_checkpoint(BUNDLED_RESTORER).model
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _pre_reconstruction_task(
    recipe: Recipe, photos: PhotoFolder | None, device: str, encoder: FrozenEncoder | None
) -> PreReconstructionTask:
    odd = [phase.patch_px for phase in phases_of(recipe) if phase.patch_px % STRIDE_PX]
    if odd:
        raise UnblurError(f"{recipe.name} has patches of {odd[0]} px; latents need multiples of {STRIDE_PX} px.")
    assert encoder is not None
    return PreReconstructionTask(patches_of(recipe, photos, device), encoder, recipe.glow, device)


def _check_parts(recipe: Recipe, phases: list[Phase], task: Task, processes: int) -> None:
    """Raises UnblurError when batches cannot be divided as the recipe and the processes ask."""
    parts = processes * recipe.accumulate
    if parts > 1 and task.whole_batches:
        raise UnblurError(f"{recipe.name} learns from whole batches; train it in one process, without accumulation.")
    if odd := [phase.batch for phase in phases if phase.batch % parts]:
        raise UnblurError(
            f"A batch of {odd[0]} cannot be divided among {processes} process(es) in {recipe.accumulate} part(s) each; "
            "change batch or accumulate in the recipe, or the number of processes."
        )


def _batches(
    recipe: Recipe, phases: list[Phase], task: Task, start: int, processes: Processes
) -> Iterator[list[Example]]:
    """The parts of batches that this process is shown, of step `start` to the last; each example is in one alone."""

    def batch(step: int) -> list[Example]:
        own = processes.share(phase_at(phases, step).examples(step))
        size = len(own) // recipe.accumulate
        return [
            tuple(map(torch.stack, zip(*map(task.example, own[first : first + size]), strict=True)))
            for first in range(0, len(own), size)
        ]

    return prefetched(batch, range(start, recipe.steps), recipe.workers)


def _forget_after(metrics: Path, step: int) -> None:
    """Drop measurements of steps that a killed run did but never saved: they will be done again."""
    if metrics.exists():
        lines = metrics.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        write_atomically(metrics, "".join(kept).encode())
