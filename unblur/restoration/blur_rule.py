"""The rule that decides what blur windows and photographs have: linear functions fitted on simulated photographs."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from unblur.config import from_json
from unblur.restoration.blur_windows import Windows

BUNDLED_RULE = Path(__file__).parent.parent / "weights" / "report" / "rule.json"
"""Written by `python -m experiments.fit_blur_report`."""

SHARP, MOTION, DEFOCUS = 0, 1, 2
"""Kinds of windows, in the order of `BlurRule.windows`."""

LEAST_TEXTURE_SHARE = 0.15
"""Share of a window that must have texture for the window to count."""

LARGEST_DEVIATION = 4.0
"""Normalised features are clipped here: no single one decides."""

SUMMARY = 12


@dataclass(frozen=True, kw_only=True)
class Linear:
    """Linear functions of features that are first normalised."""

    mean: tuple[float, ...]
    """The mean of each feature."""
    deviation: tuple[float, ...]
    """The standard deviation of each feature."""
    weights: tuple[tuple[float, ...], ...]
    """One row for each function."""
    biases: tuple[float, ...]

    def normalise(self, features: Tensor) -> Tensor:
        """(..., C) -> same, with mean 0 and deviation 1, clipped."""
        normal = (features - torch.tensor(self.mean)) / torch.tensor(self.deviation)
        return normal.clamp(-LARGEST_DEVIATION, LARGEST_DEVIATION)

    def __call__(self, features: Tensor) -> Tensor:
        """(..., C) -> (..., functions)."""
        values: Tensor = self.normalise(features) @ torch.tensor(self.weights).T + torch.tensor(self.biases)
        return values


@dataclass(frozen=True, kw_only=True)
class BlurRule:
    """Coefficients of all functions."""

    window_kinds: Linear
    """Logits of the kinds of windows."""
    window_sizes: Linear
    """Logarithms of the length of the motion and of the radius of the disk, both in pixels."""
    photo_kinds: Linear
    """Logits of the kinds of photographs from `summary`, in the order of KINDS."""
    noise_level: float
    """Level, in 8-bit grey levels, from which noise is visible."""

    def windows(self, found: Windows) -> Tensor:
        """Return the probabilities of sharp, motion and out of focus of each window. (N, 3)."""
        return self.window_kinds(found.features).softmax(dim=1)

    def photo(self, found: Windows) -> Tensor:
        """Return the probabilities of the kinds of the photograph, (4,), in the order of KINDS."""
        return self.photo_kinds(summary(found, self.windows(found))).softmax(dim=0)


@cache
def bundled_rule() -> BlurRule:
    """Return the rule in `unblur/weights`."""
    return from_json(BUNDLED_RULE.read_text(encoding="utf-8"), BlurRule, BUNDLED_RULE)


def counting(found: Windows) -> Tensor:
    """Return which windows count: those with texture, or all where none has enough. (N,) bool."""
    enough = found.texture >= LEAST_TEXTURE_SHARE
    return enough if bool(enough.any()) else torch.ones_like(enough)


def summary(found: Windows, kinds: Tensor) -> Tensor:
    """Return numbers that describe the windows of a photograph together, (SUMMARY,).

    `kinds`, (N, 3), are the windows' probabilities. The numbers are their means weighted by texture, their largest and
    smallest values, how far the directions agree, the length of the motion, and the share of windows that moved.
    """
    count = counting(found)
    kinds, weight = kinds[count], found.texture[count] + 0.05
    weight = weight / weight.sum()
    moved = kinds[:, MOTION] * weight
    doubled = found.doubled[count]
    agreement = (doubled * moved[:, None]).sum(dim=0).norm() / (doubled.norm(dim=1) * moved).sum().clamp(min=1e-6)
    length = ((1 + found.length_px[count]).log() * moved).sum() / moved.sum().clamp(min=1e-6)
    share = ((kinds.argmax(dim=1) == MOTION) * weight).sum()
    extremes = kinds.amax(dim=0), kinds.amin(dim=0)
    return torch.cat([(kinds * weight[:, None]).sum(dim=0), *extremes, torch.stack([agreement, length, share])])
