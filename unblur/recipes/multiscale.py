"""The bundled network at several sizes of the photograph: what chooses between them, around the frozen hourglass."""

from dataclasses import replace

from unblur.blur import Camera
from unblur.datasets import SimulatedBlur
from unblur.models import MultiScaleConfig, NAFNetConfig
from unblur.recipes.faithful import faithful
from unblur.training.recipe import Recipe


def multiscale() -> Recipe:
    """Second leg, on patches as large as the hourglass knows, which sets how far its averages reach; longer blur.

    Begins with the weights of the first, which began with the hourglass of `faithful` and had 4 patches of 256 px, of
    which a quarter shows more, 1e-3 and seed 5.
    """
    before = faithful()
    assert isinstance(before.model, NAFNetConfig)
    return replace(
        before,
        name="unblur-multiscale",
        model=MultiScaleConfig(hourglass=before.model),
        frozen=("hourglass",),
        camera=replace(before.camera, extent_px=(1.0, 32.0)),
        mixed_in=(SimulatedBlur(camera=Camera(extent_px=(1.0, 64.0)), share=4 / 9),),
        seed=6,
        steps=1_500,
        batch=8,
        peak_learning_rate=2e-4,
    )
