"""Named sizes of GLOWDeblur."""

from functools import partial
from typing import assert_never

from unblur.models.glow import GlowConfig
from unblur.models.linear_dit import LinearDiTConfig
from unblur.models.motion_guidance import MOTION_CHANNELS
from unblur.names import GlowSize

LATENT_CHANNELS = 32

GEMMA_CHANNELS = 2304
"""Channels of the tokens of Gemma 2 with two billion parameters, SANA's text encoder."""

MINILM_CHANNELS = 384
"""Channels of the tokens of all-MiniLM-L6-v2."""


def glow(size: GlowSize) -> GlowConfig:
    """Return the configuration of GLOWDeblur with `denoiser(size)`; the other parts are the same in all sizes."""
    return GlowConfig(denoiser=denoiser(size, condition_channels=LATENT_CHANNELS + MOTION_CHANNELS))


def denoiser(size: GlowSize, condition_channels: int = 0) -> LinearDiTConfig:
    """Return SANA's transformer with 0.6 or 1.6 billion parameters (Xie et al. 2024), or one that a CPU can train."""
    sized = partial(LinearDiTConfig, condition_channels=condition_channels)
    match size:
        case "small":
            return sized(width=160, blocks=6, self_heads=5, cross_heads=5, token_channels=MINILM_CHANNELS)
        case "0.6b":
            return sized(width=1152, blocks=28, self_heads=36, cross_heads=16, token_channels=GEMMA_CHANNELS)
        case "1.6b":
            return sized(width=2240, blocks=20, self_heads=70, cross_heads=20, token_channels=GEMMA_CHANNELS)
    assert_never(size)
