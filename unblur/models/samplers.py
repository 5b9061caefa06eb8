"""From noise to latents: the denoiser's velocity followed for a few steps, by the solvers of the library diffusers.

Euler follows straight pieces; DPM-Solver++ of second order (Lu et al. 2022, arXiv 2211.01095), in the form for flows
that SANA is used with, also remembers the step before. Both are given the same shares of noise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import torch
from torch import Tensor

from unblur.models.diffusers_library import import_diffusers
from unblur.models.flow import SHIFT, shifted, unshifted

Velocity = Callable[[Tensor, Tensor], Tensor]
"""Latents (B, C, h, w) and their share of noise (B,) -> velocity (B, C, h, w)."""

Solver = Literal["dpm", "euler"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How latents are found."""

    solver: Solver = "dpm"
    steps: int = 20
    """How often the denoiser is asked."""
    noise: float = 1.0
    """Share of noise at the start, above 0 to 1. The rest is the aligned feature: less noise, less invention."""

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 < self.noise <= 1:
            raise ValueError(f"steps must be positive and the share of noise above 0 and at most 1: {self}")


def noise_schedule(sampling: Sampling) -> Tensor:
    """Shares of noise before each step, falling, (steps,) float32; after the last step there is none."""
    evenly = torch.linspace(unshifted(sampling.noise, SHIFT), 0, sampling.steps + 1, dtype=torch.float64)
    return shifted(evenly[:-1], SHIFT).float()


def sample(velocity: Velocity, start: Tensor, sampling: Sampling) -> Tensor:
    """Latents without noise. `start`, (B, C, h, w), holds a share of `sampling.noise`. Shape: same, float32.

    Raises UnblurError when diffusers is not installed.
    """
    sigmas = noise_schedule(sampling)
    solver = _solver(sampling, sigmas)
    latents = start.float()
    for sigma, time in zip(sigmas, solver.timesteps, strict=True):
        share = sigma.to(latents.device).expand(len(latents))
        latents = solver.step(velocity(latents, share).float(), time, latents, return_dict=False)[0]
    return latents


def _solver(sampling: Sampling, sigmas: Tensor) -> Any:
    diffusers = import_diffusers()
    match sampling.solver:
        case "euler":
            solver = diffusers.FlowMatchEulerDiscreteScheduler()
            solver.set_timesteps(sigmas=sigmas.tolist())
        case "dpm":
            solver = diffusers.DPMSolverMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction")
            solver.set_timesteps(sampling.steps)
            # It makes its own shares from the number of steps alone, always from pure noise.
            solver.sigmas = torch.cat((sigmas, sigmas.new_zeros(1)))
            solver.timesteps = sigmas * solver.config.num_train_timesteps
        case _:
            assert_never(sampling.solver)
    # Steps are counted, not looked up by their times.
    solver.set_begin_index(0)
    return solver
