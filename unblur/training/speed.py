"""How fast pairs are simulated, and how much of a training step that and loading take.

Times are processor seconds, not seconds on the clock: other work on the machine does not count. Speeds are held
against a bound measured in the same run: the time that bilinear sampling alone takes, each layer seen once
from each pose. What is faster than the bound found a way around it, as convolution does where blur is uniform.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.blur import Camera, Exposure, render, sample_exposure
from unblur.datasets import PhotoFolder, SimulatedPairs
from unblur.datasets.simulated import PatchSampling
from unblur.models import build
from unblur.seeds import seed_for
from unblur.training.loop import task_of
from unblur.training.recipe import Recipe
from unblur.training.step import take_step


@dataclass(frozen=True, kw_only=True)
class SimulationSpeed:
    """Of pairs of one size."""

    height: int
    width: int
    pairs_per_core_second: float
    share_of_bound: float
    """Time of the sampling alone over the whole time; 1 is the bound."""


@dataclass(frozen=True, kw_only=True)
class StepShares:
    """Of all processor time of a training step, 0 to 1; the network takes the rest."""

    simulation: float
    loading: float
    """Turning simulated pairs, stacking them to a batch and laying it out in memory as the network needs it."""


def pair_speed(photos: PhotoFolder, camera: Camera, side_px: int, pairs: int, seed: int) -> SimulationSpeed:
    """Of square pairs, cut and scaled as for training."""
    simulated = SimulatedPairs(photos, camera, PatchSampling(patch_px=side_px), seed)
    exposures = [simulated.draw(index).exposure for index in range(pairs)]
    whole_s = _processor_s(lambda: [simulated[index] for index in range(pairs)])
    bound_s = _sampling_s(exposures, side_px, side_px)
    return SimulationSpeed(
        height=side_px, width=side_px, pairs_per_core_second=pairs / whole_s, share_of_bound=bound_s / whole_s
    )


def frame_speed(camera: Camera, height: int, width: int, pairs: int, seed: int) -> SimulationSpeed:
    """Of whole frames of video size, without reading or scaling photographs."""
    generator = torch.Generator().manual_seed(seed)
    sharp = F.interpolate(
        torch.rand(1, 3, height // 8, width // 8, generator=generator), (height, width), mode="bicubic"
    )[0].clamp(0, 1)
    exposures = [sample_exposure(camera, height, width, seed_for(seed, "frame", index)) for index in range(pairs)]
    whole_s = _processor_s(lambda: [render(sharp, exposure, tolerance_px=0.1) for exposure in exposures])
    bound_s = _sampling_s(exposures, height, width)
    return SimulationSpeed(
        height=height, width=width, pairs_per_core_second=pairs / whole_s, share_of_bound=bound_s / whole_s
    )


def shares_of_step(photos: PhotoFolder, recipe: Recipe, steps: int) -> StepShares:
    """Where the processor time of a training step of `recipe` on the CPU goes."""
    model = build(recipe.model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    task = task_of(recipe, photos)

    def load() -> tuple[Tensor, ...]:
        return tuple(map(torch.stack, zip(*(task.example(index) for index in range(recipe.batch)), strict=True)))

    batch = load()

    def step() -> None:
        take_step(model, optimizer, task, [batch], recipe.clip_norm, precision=recipe.precision)

    step()
    step_s = _processor_s(step, steps) / steps
    # Its pairs are in memory now where a recipe uses them several times.
    loading_s = _processor_s(load, steps) / steps if recipe.uses > 1 else 0.0
    once = task_of(replace(recipe, uses=1), photos)
    simulation_s = _processor_s(lambda: [once.example(index) for index in range(steps * recipe.batch)])
    simulation_s /= steps * recipe.uses
    whole_s = step_s + loading_s + simulation_s
    return StepShares(simulation=simulation_s / whole_s, loading=loading_s / whole_s)


def _sampling_s(exposures: list[Exposure], height: int, width: int) -> float:
    """Processor seconds of the bilinear sampling alone that `exposures` need."""
    picture = torch.rand(1, 3, height, width)
    y, x = torch.meshgrid(torch.linspace(-0.99, 0.99, height), torch.linspace(-0.99, 0.99, width), indexing="ij")
    grid = torch.stack([x, y], dim=-1)[None]
    samplings = sum(len(exposure.poses) * max(1, len(exposure.layers)) for exposure in exposures)

    def sample() -> None:
        for _ in range(samplings):
            F.grid_sample(picture, grid, padding_mode="reflection", align_corners=False)

    return _processor_s(sample)


def _processor_s(work: Callable[[], object], times: int = 1) -> float:
    began = time.process_time()
    for _ in range(times):
        work()
    return time.process_time() - began
