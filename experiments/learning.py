"""Ways to learn that the race compares: optimisers, schedules and growing patches."""

import math
from dataclasses import dataclass
from typing import Literal, assert_never

import torch
from torch import nn

OptimizerName = Literal["adamw", "muon", "schedule-free"]
"""muon: Muon (Jordan et al. 2024) for the weights of convolutions, as matrices of C_out x 9 C_in, and AdamW for the
rest. schedule-free: AdamW with averaging instead of a schedule (Defazio et al. 2024, arXiv 2405.15682)."""


@dataclass(frozen=True, kw_only=True)
class Learning:
    """The training settings of a candidate; times are shares of its processor seconds."""

    optimizer: OptimizerName = "adamw"
    peak: float = 1e-3
    """Largest learning rate of AdamW."""
    muon_peak: float = 0.0
    """Largest learning rate of Muon."""
    decay: float = 1.0
    """Share of the time, at the end, in which the rate falls from its peak to zero, as a half cosine."""
    warmup: float = 0.03
    """Share of the time, at the beginning, in which the rate rises from zero to its peak."""
    stages: tuple[tuple[float, int, int], ...] = ((0.0, 128, 8),)
    """(begins at this share of the time, side of the patches in pixels, patches a step)."""


def compute_rate_share(learning: Learning, share: float) -> float:
    """The learning rate over its peak after `share` of the time, 0 to 1."""
    rising = min(1.0, (share + 1e-3) / max(learning.warmup, 1e-3))
    if learning.optimizer == "schedule-free":
        return rising
    progress = max(0.0, (share - (1 - learning.decay)) / learning.decay)
    return rising * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def find_stage(learning: Learning, share: float) -> tuple[int, int]:
    """(side of the patches, patches a step) after `share` of the time."""
    return [(side, batch) for begins, side, batch in learning.stages if begins <= share][-1]


def build_optimizers(learning: Learning, model: nn.Module) -> list[tuple[torch.optim.Optimizer, float]]:
    """Optimisers, each with its peak rate."""
    parameters = list(model.parameters())
    match learning.optimizer:
        case "adamw":
            return [(_build_adamw(parameters, learning), learning.peak)]
        case "schedule-free":
            return [(ScheduleFreeAdamW(parameters, lr=learning.peak), learning.peak)]
        case "muon":
            named = list(model.named_parameters())
            inner = [p for name, p in named if p.ndim == 4 and not name.startswith(("intro", "ending"))]
            chosen = {id(parameter) for parameter in inner}
            rest = [parameter for parameter in parameters if id(parameter) not in chosen]
            muon = ConvolutionMuon(inner, lr=learning.muon_peak)
            return [(muon, learning.muon_peak), (_build_adamw(rest, learning), learning.peak)]
    assert_never(learning.optimizer)


def _build_adamw(parameters: list[nn.Parameter], learning: Learning) -> torch.optim.AdamW:
    return torch.optim.AdamW(parameters, lr=learning.peak, betas=(0.9, 0.95), weight_decay=1e-3, fused=True)


class ConvolutionMuon(torch.optim.Optimizer):
    """Momentum whose update of each convolution is made nearly orthogonal by five Newton-Schulz steps.

    Source: Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon), with its coefficients; updates are
    scaled by 0.2 sqrt(larger side), so that their root mean square is that of AdamW (Liu et al. 2025, arXiv
    2502.16982). `torch.optim.Muon` takes matrices alone; here the weights (O, I, h, w) are matrices (O, I h w).
    """

    def __init__(
        self, parameters: list[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 1e-3
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of all parameters that have a gradient."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                buffer = self.state[parameter].setdefault("momentum", torch.zeros_like(gradient))
                buffer.lerp_(gradient, 1 - group["momentum"])
                update = orthogonalize(gradient.lerp(buffer, group["momentum"]).flatten(1))
                scale = 0.2 * max(update.shape) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update.view(parameter.shape), alpha=-group["lr"] * scale)


def orthogonalize(matrix: torch.Tensor) -> torch.Tensor:
    """The nearest matrix of the same shape whose singular values are about 1. Shape: (M, N) -> same."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.bfloat16()
    wide = x.shape[0] > x.shape[1]
    x = x.T if wide else x
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: torch.Tensor = (x.T if wide else x).to(matrix.dtype)
    return result


class ScheduleFreeAdamW(torch.optim.Optimizer):
    """AdamW whose weights for evaluation are an average; gradients are taken between the average and the newest.

    Source: Defazio et al. 2024, arXiv 2405.15682, algorithm 1. `average` must be called once before evaluating.
    """

    def __init__(self, parameters: list[nn.Parameter], lr: float, betas: tuple[float, float] = (0.9, 0.95)) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": 1e-8})
        self._steps, self._weights = 0, 0.0

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update. Parameters hold the point at which gradients are taken."""
        assert closure is None
        self._steps += 1
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            weight = group["lr"] ** 2
            self._weights += weight
            share = weight / self._weights
            correction = 1 - beta2**self._steps
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["z"], state["x"] = parameter.clone(), parameter.clone()
                    state["v"] = torch.zeros_like(parameter)
                state["v"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
                denominator = (state["v"] / correction).sqrt_().add_(group["eps"])
                state["z"].addcdiv_(gradient, denominator, value=-group["lr"])
                state["x"].lerp_(state["z"], share)
                parameter.copy_(state["z"].lerp(state["x"], beta1))

    @torch.no_grad()
    def average(self) -> None:
        """Put the averaged weights into the parameters."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if self.state[parameter]:
                    parameter.copy_(self.state[parameter]["x"])
