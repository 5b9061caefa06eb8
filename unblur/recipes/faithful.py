"""The bundled faithful network: GLOWDeblur's pre-reconstruction hourglass, sized for two CPU cores."""

from unblur.blur import Camera
from unblur.models import NAFNetConfig
from unblur.training.recipe import Recipe


def faithful() -> Recipe:
    """Second leg: camera shake of a still scene only. Begins with the weights of the first, which had seed 1."""
    return Recipe(
        name="unblur-faithful",
        model=NAFNetConfig(
            width=32,
            encoder_blocks=(2, 2, 2, 2),
            middle_blocks=2,
            decoder_blocks=(2, 2, 2, 2),
            stem_stride=2,
        ),
        camera=Camera(
            extent_px=(1.0, 24.0),
            kinds=("bezier", "walk", "pan"),
            relief_share=0.0,
            planes_share=0.0,
            object_share=0.0,
            defocus_share=0.0,
            rolling_share=0.0,
            mosaic_share=0.0,
        ),
        seed=2,
        steps=21_000,
    )
