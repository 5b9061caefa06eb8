"""Flow matching on straight paths between clean latents and noise.

Latents at noise level `sigma` are (1 - sigma) * clean + sigma * noise; their velocity along the
path is noise - clean (Lipman et al. 2023, arXiv 2210.02747; Liu et al. 2023, arXiv 2209.03003). Levels are drawn
logit-normal and shifted towards noise (Esser et al. 2024, arXiv 2403.03206), by 3 as in SANA for 512 px.
"""

import torch
from torch import Tensor

SHIFT = 3.0


def shift_sigma(sigma: Tensor, shift: float = SHIFT) -> Tensor:
    """Shift noise levels towards 1: shift * sigma / (1 + (shift - 1) * sigma). 0 and 1 stay."""
    return shift * sigma / (1 + (shift - 1) * sigma)


def sample_sigmas(count: int, generator: torch.Generator, shift: float = SHIFT) -> Tensor:
    """Sample noise levels for training, (count,) float32 in (0, 1)."""
    return shift_sigma(torch.randn(count, generator=generator).sigmoid(), shift)


def add_noise(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """Mix latents with noise at level `sigma`, (B,). Shape: (B, C, h, w) each -> same."""
    share = sigma.view(-1, 1, 1, 1)
    return (1 - share) * clean + share * noise


def velocity_target(clean: Tensor, noise: Tensor) -> Tensor:
    """Return the target of the denoiser, which is the same at every noise level. Shape: (B, C, h, w) each -> same."""
    return noise - clean
