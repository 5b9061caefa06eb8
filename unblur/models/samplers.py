"""Samplers: integrate the denoiser's velocity from noise to latents with the solvers of the library diffusers.

Euler follows straight pieces; DPM-Solver++ of second order (Lu et al. 2022, arXiv 2211.01095), in the form for flows
that SANA is used with, also remembers the step before. Both are given the same shares of noise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import torch
from torch import Tensor

from unblur.models.diffusers_library import import_diffusers
from unblur.models.flow import shift_sigma

Velocity = Callable[[Tensor, Tensor], Tensor]
"""Latents (B, C, h, w) and their share of noise (B,) -> velocity (B, C, h, w)."""

Solver = Literal["dpm", "euler"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Settings of the sampler."""

    solver: Solver = "dpm"
    steps: int = 20
    """Number of steps of the denoiser."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be positive: {self}")


def noise_schedule(steps: int) -> Tensor:
    """Shares of noise before each step, falling from 1, (steps,) float32; after the last step there is none."""
    return shift_sigma(torch.linspace(1, 0, steps + 1, dtype=torch.float64)[:-1]).float()


def sample(velocity: Velocity, noise: Tensor, sampling: Sampling) -> Tensor:
    """Latents that `noise`, (B, C, h, w), leads to. Shape: same, float32.

    Raises UnblurError when diffusers is not installed.
    """
    sigmas = noise_schedule(sampling.steps)
    solver = _solver(sampling, sigmas)
    latents = noise.float()
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
            # It makes its own shares from the number of steps alone, beginning a thousandth before pure noise.
            solver.sigmas = torch.cat((sigmas, sigmas.new_zeros(1)))
            solver.timesteps = sigmas * solver.config.num_train_timesteps
        case _:
            assert_never(sampling.solver)
    # Steps are counted, not looked up by their times.
    solver.set_begin_index(0)
    return solver
