"""Tiny autoencoders by another author: TAESANA, an encoder into the latents of SANA, and TAEF2, a finer reference.

Source: Ollin Boer Bohan's TAESD (github.com/madebyollin/taesd, MIT), which distils large autoencoders into rows of
3x3 convolutions; the tables below follow from the weight files, whose keys are the indices in these rows. TAESANA's
encoder is distilled from `dc-ae-f32c32-sana-1.0`, its author says (issue 29 there): 32 numbers for each 32 x 32 pixels.
TAEF2, for the latents of FLUX.2, has as many for each 8 x 8, and a mixing of channels before the coarsest blocks.

Images are in [0, 1] and latents are the inputs of the diffusion model, factor included: the author's convention (issues
3 and 18 there). Measurements agree: photographs in [0, 1] give TAESANA's latents a deviation of 0.89 and hardly
correlated channels, in [-1, 1] one of 2.5; the factor 0.41407 of the large one is no longer to be multiplied.
"""

import torch
from torch import Tensor, nn

CHANNELS = 64
LATENT_CHANNELS = 32
TAESANA_STRIDE_PX, TAEF2_STRIDE_PX = 32, 8

MIXED_CHANNELS, MIXED_GROUPS = 256, 4
"""Channels and groups of the mixing before TAEF2's coarsest blocks."""

FURTHEST_LATENT = 3.0
"""Absolute value to which TAEF2's decoder limits latents."""


class TinyBlock(nn.Module):
    """Three 3x3 convolutions added to their input. Shape: (B, 64, H, W) -> same."""

    def __init__(self, *, mixes: bool = False) -> None:
        """Begin with 1x1 convolutions and statistics of the whole image if `mixes`."""
        super().__init__()
        self.conv = nn.Sequential(_conv(), nn.ReLU(), _conv(), nn.ReLU(), _conv())
        self.pool = None
        if mixes:
            self.pool = nn.Sequential(
                nn.Conv2d(CHANNELS, MIXED_CHANNELS, 1, bias=False),
                nn.GroupNorm(MIXED_GROUPS, MIXED_CHANNELS),
                nn.ReLU(),
                nn.Conv2d(MIXED_CHANNELS, CHANNELS, 1, bias=False),
            )

    def forward(self, x: Tensor) -> Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        corrected: Tensor = self.conv(x) + x
        return corrected.relu()


class Bend(nn.Module):
    """Smooth limit of latents to +-3."""

    def forward(self, latents: Tensor) -> Tensor:
        return torch.tanh(latents / FURTHEST_LATENT) * FURTHEST_LATENT


def build_taesana_encoder() -> nn.Sequential:
    """Build the encoder (B, 3, H, W) RGB in [0, 1], multiples of 32 -> (B, 32, H/32, W/32), of unit deviation."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, CHANNELS, 3, stride=2, padding=1),
        nn.ReLU(),
        TinyBlock(),
        *(layer for _ in range(3) for layer in (_down(), TinyBlock(), TinyBlock(), TinyBlock())),
        _conv(to=LATENT_CHANNELS),
    )


def build_taef2_encoder() -> nn.Sequential:
    """Build the encoder (B, 3, H, W) RGB in [0, 1], multiples of 8 -> (B, 32, H/8, W/8)."""
    return nn.Sequential(
        nn.Conv2d(3, CHANNELS, 3, padding=1),
        TinyBlock(),
        *(layer for _ in range(2) for layer in (_down(), TinyBlock(), TinyBlock(), TinyBlock())),
        _down(),
        *(TinyBlock(mixes=True) for _ in range(3)),
        _conv(to=LATENT_CHANNELS),
    )


def build_taef2_decoder() -> nn.Sequential:
    """Build the decoder (B, 32, h, w) -> (B, 3, 8h, 8w), about [0, 1]."""
    return nn.Sequential(
        Bend(),
        nn.Conv2d(LATENT_CHANNELS, CHANNELS, 3, padding=1),
        nn.ReLU(),
        *(TinyBlock(mixes=True) for _ in range(3)),
        *(layer for _ in range(2) for layer in (*_up(), TinyBlock(), TinyBlock(), TinyBlock())),
        *_up(),
        TinyBlock(),
        _conv(to=3),
    )


def _conv(to: int = CHANNELS) -> nn.Conv2d:
    return nn.Conv2d(CHANNELS, to, 3, padding=1)


def _down() -> nn.Conv2d:
    return nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2, padding=1, bias=False)


def _up() -> tuple[nn.Module, nn.Module]:
    return nn.Upsample(scale_factor=2), nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)
