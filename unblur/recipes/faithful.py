"""The bundled faithful network: a NAFNet sized for two CPU cores."""

from dataclasses import replace

from unblur.blur import Camera
from unblur.datasets import SimulatedBlur
from unblur.datasets.simulated import PatchSampling
from unblur.datasets.validation import CAMERA
from unblur.models import NAFNetConfig
from unblur.training.recipe import Recipe, Schedule, TrainingData


def faithful() -> Recipe:
    """Return the recipe of the fourth run: 4/9 of the patches have any simulated blur; real pairs by `--pairs`.

    It starts from the weights of the third run, which had camera shake of a still scene only and seed 3.
    """
    return Recipe(
        name="unblur-faithful",
        model=NAFNetConfig(
            width=32,
            encoder_blocks=(2, 2, 2, 2),
            middle_blocks=2,
            decoder_blocks=(2, 2, 2, 2),
            stem_stride=2,
        ),
        seed=4,
        data=TrainingData(
            camera=replace(CAMERA, extent_px=(1.0, 24.0), still_share=0.05),
            sampling=PatchSampling(patch_px=192),
            extra_sources=(SimulatedBlur(camera=Camera(extent_px=(1.0, 48.0)), share=4 / 9),),
            repeats=4,
        ),
        schedule=Schedule(steps=13_000, batch=4, peak_learning_rate=4e-4),
    )
