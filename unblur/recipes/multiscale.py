"""The bundled network at several sizes of the photograph: an hourglass, and what chooses between them."""

from dataclasses import replace

from unblur.blur import Camera
from unblur.datasets import SignBlur, SimulatedBlur
from unblur.models import MultiScaleConfig, NAFNetConfig
from unblur.recipes.faithful import faithful
from unblur.training.recipe import Recipe


def multiscale() -> Recipe:
    """Third leg: the hourglass learns at all sizes, with what chooses between them; a seventh of the patches are signs.

    Begins with the weights of the second. The first two left the hourglass as `faithful` had made it, knew no signs,
    and had 1e-3, 2e-4, and seeds 5 and 6.
    """
    before = faithful()
    assert isinstance(before.model, NAFNetConfig)
    shake = replace(before.camera, extent_px=(1.0, 32.0))
    return replace(
        before,
        name="unblur-multiscale",
        model=MultiScaleConfig(hourglass=before.model),
        camera=shake,
        mixed_in=(
            SimulatedBlur(camera=Camera(extent_px=(1.0, 64.0)), share=0.4),
            SignBlur(camera=shake, share=1 / 7),
        ),
        seed=8,
        steps=6_000,
        peak_learning_rate=3e-4,
    )
