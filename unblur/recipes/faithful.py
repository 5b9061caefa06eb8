"""The bundled faithful network: GLOWDeblur's pre-reconstruction hourglass, sized for two CPU cores."""

from dataclasses import replace

from unblur.datasets.validation import CAMERA
from unblur.models import NAFNetConfig
from unblur.training.recipe import Recipe


def faithful() -> Recipe:
    """Third leg: camera shake of a still scene only. Begins with the weights of the second, which had seed 2."""
    return Recipe(
        name="unblur-faithful",
        model=NAFNetConfig(
            width=32,
            encoder_blocks=(2, 2, 2, 2),
            middle_blocks=2,
            decoder_blocks=(2, 2, 2, 2),
            stem_stride=2,
        ),
        camera=replace(CAMERA, extent_px=(1.0, 24.0), still_share=0.05),
        uses=4,
        seed=3,
        steps=15_000,
        peak_learning_rate=7e-4,
    )
