"""The latent space of the bundled generator: a decoder of SANA's latents, or an autoencoder of our own."""

from dataclasses import replace

from unblur.datasets.simulated import PatchSampling
from unblur.models import AutoencoderConfig, LatentDecoderConfig
from unblur.training.objective_settings import AutoencoderTraining
from unblur.training.recipe import Optimization, Recipe, Schedule, TrainingData


def decoder() -> Recipe:
    """Return the recipe of the decoder's second run, which starts from the weights of the first.

    The first had seed 31, a rate of 5e-4, 6,000 steps, and a discriminator from 40 % of them on.
    """
    return Recipe(
        name="unblur-decoder",
        model=LatentDecoderConfig(),
        seed=33,
        data=TrainingData(sampling=PatchSampling(patch_px=192, pristine_share=1.0)),
        objective=AutoencoderTraining(adversarial_start=0.1),
        optimization=Optimization(betas=(0.9, 0.99)),
        schedule=Schedule(steps=2_600, peak_learning_rate=3e-4),
    )


def autoencoder() -> Recipe:
    """Return the recipe of the decoder together with an encoder of our own."""
    return replace(decoder(), name="unblur-autoencoder", model=AutoencoderConfig(), seed=32)
