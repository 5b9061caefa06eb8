"""The bundled network at several sizes of the photograph: an hourglass, and what chooses between them."""

from dataclasses import replace

from unblur.blur import Camera
from unblur.datasets import SignBlur, SimulatedBlur
from unblur.models import MultiScaleConfig, NAFNetConfig
from unblur.recipes.faithful import faithful
from unblur.training.recipe import Recipe


def multiscale() -> Recipe:
    """Fourth leg: the hourglass learns at all sizes, with what chooses between them; a sixth of the patches are signs.

    Begins with the weights of the third, which had half as many signs, blurred from 1 px on, as a seventh of its
    patches, and seed 8. The first two left the hourglass as `faithful` had made it, knew no signs, and had 1e-3, 2e-4,
    and seeds 5 and 6.
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
            SignBlur(camera=replace(shake, extent_px=(2.0, 32.0)), count=512, share=1 / 6),
        ),
        seed=9,
        steps=6_000,
        peak_learning_rate=3e-4,
    )
