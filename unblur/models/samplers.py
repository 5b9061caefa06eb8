"""Samplers: integrate the denoiser's velocity from noise to latents with the solvers of the library diffusers.

Euler takes straight steps; DPM-Solver++ of second order (Lu et al. 2022, arXiv 2211.01095), in the form for flows that
SANA uses, also depends on the step before. Both get the same noise levels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import torch
from torch import Tensor

from unblur.models.diffusers_library import import_diffusers
from unblur.models.flow import shift_sigma

Velocity = Callable[[Tensor, Tensor], Tensor]
"""Function of latents (B, C, h, w) and their noise level (B,) that returns the velocity (B, C, h, w)."""

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


def compute_noise_schedule(steps: int) -> Tensor:
    """Compute the noise level before each step, falling from 1, (steps,) float32; after the last step it is 0."""
    return shift_sigma(torch.linspace(1, 0, steps + 1, dtype=torch.float64)[:-1]).float()


def sample(velocity: Velocity, noise: Tensor, sampling: Sampling) -> Tensor:
    """Sample latents from `noise`, (B, C, h, w). Shape: same, float32.

    Raises UnblurError when diffusers is not installed.
    """
    sigmas = compute_noise_schedule(sampling.steps)
    solver = _build_solver(sampling, sigmas)
    latents = noise.float()
    for sigma, time in zip(sigmas, solver.timesteps, strict=True):
        share = sigma.to(latents.device).expand(len(latents))
        latents = solver.step(velocity(latents, share).float(), time, latents, return_dict=False)[0]
    return latents


def _build_solver(sampling: Sampling, sigmas: Tensor) -> Any:
    diffusers = import_diffusers()
    match sampling.solver:
        case "euler":
            solver = diffusers.FlowMatchEulerDiscreteScheduler()
            solver.set_timesteps(sigmas=sigmas.tolist())
        case "dpm":
            solver = diffusers.DPMSolverMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction")
            solver.set_timesteps(sampling.steps)
            # Without `sigmas` it would compute levels from the number of steps, beginning a thousandth before pure
            # noise.
            solver.sigmas = torch.cat((sigmas, sigmas.new_zeros(1)))
            solver.timesteps = sigmas * solver.config.num_train_timesteps
        case _:
            assert_never(sampling.solver)
    # Steps are counted, not looked up by their times.
    solver.set_begin_index(0)
    return solver
