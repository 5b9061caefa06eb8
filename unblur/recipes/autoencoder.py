"""The latent space of the bundled generator: a decoder of SANA's latents, or an autoencoder of our own."""

from dataclasses import replace

from unblur.datasets.simulated import PatchSampling
from unblur.models import AutoencoderConfig, LatentDecoderConfig
from unblur.training.recipe import Recipe


def decoder() -> Recipe:
    """First leg: sharp photographs, as they are; a frozen encoder makes the latents."""
    return Recipe(
        name="unblur-decoder",
        model=LatentDecoderConfig(),
        sampling=PatchSampling(patch_px=192, pristine_share=1.0),
        seed=31,
        steps=6_000,
        peak_learning_rate=5e-4,
        betas=(0.9, 0.99),
    )


def autoencoder() -> Recipe:
    """The same with an encoder of our own, which learns with the decoder."""
    return replace(decoder(), name="unblur-autoencoder", model=AutoencoderConfig(), seed=32)
