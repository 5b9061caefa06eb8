"""Flow matching: photographs and noise joined by straight lines, along which the denoiser learns the velocity.

Latents with a share `sigma` of noise are (1 - sigma) * clean + sigma * noise; going from clean to noise at constant
speed, their velocity is noise - clean (Lipman et al. 2023, arXiv 2210.02747; Liu et al. 2023, arXiv 2209.03003). Shares
are drawn logit-normal and shifted towards noise (Esser et al. 2024, arXiv 2403.03206), by 3 as in SANA for 512 px.
"""

import torch
from torch import Tensor

SHIFT = 3.0


def shifted(sigma: Tensor, shift: float = SHIFT) -> Tensor:
    """Shares of noise moved towards 1, which stays, as does 0: shift * sigma / (1 + (shift - 1) * sigma)."""
    return shift * sigma / (1 + (shift - 1) * sigma)


def drawn_sigmas(count: int, generator: torch.Generator, shift: float = SHIFT) -> Tensor:
    """Shares of noise to train with, (count,) float32 in (0, 1)."""
    return shifted(torch.randn(count, generator=generator).sigmoid(), shift)


def noised(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """Latents with a share `sigma`, (B,), of noise. Shape: (B, C, h, w) each -> same."""
    share = sigma.view(-1, 1, 1, 1)
    return (1 - share) * clean + share * noise


def true_velocity(clean: Tensor, noise: Tensor) -> Tensor:
    """What the denoiser should answer, whatever the share of noise. Shape: (B, C, h, w) each -> same."""
    return noise - clean
