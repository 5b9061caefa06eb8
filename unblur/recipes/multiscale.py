"""The bundled network at several sizes of the photograph: what chooses between them, around the frozen hourglass."""

from dataclasses import replace

from unblur.blur import Camera
from unblur.datasets import SimulatedBlur
from unblur.datasets.simulated import PatchSampling
from unblur.datasets.validation import CAMERA
from unblur.models import MultiScaleConfig, NAFNetConfig
from unblur.recipes.faithful import faithful
from unblur.training.recipe import Recipe


def multiscale() -> Recipe:
    """Second leg, on patches as large as the hourglass knows, which sets how far its averages reach.

    Begins with the weights of the first, which began with the hourglass of `faithful` and had 4 patches of 256 px, of
    which a quarter shows more, 1e-3 and seed 5.
    """
    hourglass = faithful().model
    assert isinstance(hourglass, NAFNetConfig)
    return Recipe(
        name="unblur-multiscale",
        model=MultiScaleConfig(hourglass=hourglass),
        frozen=("hourglass",),
        camera=replace(CAMERA, extent_px=(1.0, 32.0), still_share=0.05),
        sampling=PatchSampling(patch_px=192),
        mixed_in=(SimulatedBlur(camera=Camera(extent_px=(1.0, 64.0)), share=4 / 9),),
        uses=4,
        seed=6,
        steps=1_500,
        batch=8,
        peak_learning_rate=2e-4,
    )
