"""The learning rate as a function of the step: nothing to save, nothing to step twice."""

import math
from dataclasses import dataclass
from typing import assert_never


@dataclass(frozen=True, kw_only=True)
class Cosine:
    """A half cosine from the peak, after the warmup, to the final rate at the last step."""


@dataclass(frozen=True, kw_only=True)
class ConstantThenCosine:
    """The peak for a share of the steps, then a half cosine to the final rate at the last step (Restormer)."""

    constant_share: float

    def __post_init__(self) -> None:
        if not 0 <= self.constant_share < 1:
            raise ValueError(f"the constant share of the steps must be in [0, 1): {self}")


@dataclass(frozen=True, kw_only=True)
class Halving:
    """The peak, halved several times, all parts equally long (MIMO-UNet). The final rate has no effect."""

    times: int

    def __post_init__(self) -> None:
        if self.times < 1:
            raise ValueError(f"a rate is halved at least once: {self}")


Decay = Cosine | ConstantThenCosine | Halving


def compute_learning_rate(
    decay: Decay, step: int, *, steps: int, warmup_steps: int, peak: float, final: float
) -> float:
    """Return the rate of update `step`, from 0, of `steps`: a linear rise to `peak`, then the `decay`."""
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    match decay:
        case Cosine():
            return _compute_half_cosine(step, warmup_steps, steps, peak, final)
        case ConstantThenCosine(constant_share=share):
            return _compute_half_cosine(step, max(warmup_steps, round(share * steps)), steps, peak, final)
        case Halving(times=times):
            return peak / float(2 ** (step * (times + 1) // steps))
    assert_never(decay)


def _compute_half_cosine(step: int, begin: int, steps: int, peak: float, final: float) -> float:
    """Return `peak` until step `begin`, falling to `final` at the last one."""
    progress = max(0, step - begin) / max(1, steps - 1 - begin)
    return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
