"""The plain U-Net, which processors train and apply near their peak."""

from dataclasses import replace

from unblur.blur import Camera
from unblur.datasets import SimulatedBlur, SyntheticText
from unblur.datasets.simulated import PatchSampling
from unblur.datasets.validation import CAMERA
from unblur.models import PlainUNetConfig
from unblur.training.learning_rate import ConstantThenCosine
from unblur.training.recipe import Optimization, PatchStage, Recipe, Schedule, TrainingData

SHAKE = replace(CAMERA, extent_px=(1.0, 32.0), still_share=0.05)

CLEAN_PAN = replace(
    SHAKE, extent_px=(1.0, 48.0), kinds=("pan",), roll=0.0, zoom=0.0, noise_share=0.0, jpeg_share=0.0, still_share=0.0
)
"""Straight motion without noise and JPEG: what people try first, and what image editors make."""

EVERYTHING = Camera(extent_px=(1.0, 96.0))

ROLL = replace(SHAKE, extent_px=(2.0, 48.0), roll=3.0, zoom=0.5, focal_frames=(0.7, 2.0), noise_share=0.5)
"""The camera turns about its optical axis: blur is longest at the corners."""

LIGHTS = replace(SHAKE, extent_px=(3.0, 48.0), highlight_share=1.0, highlight_gain=(2.0, 32.0))
"""Lights so bright that they clip the sensor where they pass."""

STILL = Camera(still_share=1.0, object_share=0.0, rolling_share=0.0, defocus_share=0.4, noise_share=0.5, jpeg_share=0.5)
"""Nothing moves: the network has to leave sharp, noisy and defocused photographs as sharp as they are."""


def plain() -> Recipe:
    """Return the recipe of all simulated blur, and of kinds that the bundled network was not trained on (see above).

    Shape and patches are those that gained most in `experiments.shape_race`: residual blocks at stride 2, and many
    small patches first, fewer large ones later. The network has a level more than the winner, because blur of 48 px
    needs a receptive field of more than that.
    """
    return Recipe(
        name="unblur-plain",
        model=PlainUNetConfig(channels=(48, 96, 192, 384, 384), blocks=(1, 1, 1, 2, 2), stem_stride=2),
        seed=26,
        data=TrainingData(
            camera=SHAKE,
            sampling=PatchSampling(patch_px=128),
            extra_sources=(
                SimulatedBlur(camera=EVERYTHING, share=0.33),
                SimulatedBlur(camera=CLEAN_PAN, share=0.15),
                SyntheticText(camera=replace(SHAKE, extent_px=(2.0, 28.0)), count=1024, share=0.12),
                SimulatedBlur(camera=STILL, share=0.07),
                SimulatedBlur(camera=ROLL, share=0.06),
                SimulatedBlur(camera=LIGHTS, share=0.06),
            ),
            repeats=8,
        ),
        optimization=Optimization(betas=(0.9, 0.95)),
        schedule=Schedule(
            steps=120_000,
            batch=32,
            progressive=(PatchStage(start=0.15, patch_px=192, batch=14), PatchStage(start=0.5, patch_px=256, batch=8)),
            decay=ConstantThenCosine(constant_share=0.5),
            # A rate of 1e-3, which the shallower networks of the race bear, diverges here.
            peak_learning_rate=4e-4,
            warmup_steps=500,
        ),
        checkpoint_every=250,
    )
