"""The semantic prior: EfficientNet-Lite0 distilled to ignore blur, for hosts that restore."""

from dataclasses import replace

from unblur.datasets import SimulatedBlur
from unblur.datasets.simulated import PatchSampling
from unblur.datasets.validation import CAMERA
from unblur.models import SemanticPriorConfig
from unblur.training.objective_settings import PriorTraining
from unblur.training.recipe import Optimization, Recipe, Schedule, TrainingData


def prior() -> Recipe:
    """Return the recipe of the semantic prior: shake of a still scene, a third of it severe.

    The backbone, which starts as the teacher, has a lower learning rate: at the rate of the rest it forgot the features
    of sharp images. The student is two-pass: the bundled weights restore more than a student of this size learns to.
    """
    shake = replace(CAMERA, extent_px=(1.0, 32.0), still_share=0.05)
    severe = SimulatedBlur(camera=replace(shake, extent_px=(8.0, 32.0), still_share=0.0), share=1 / 3)
    return Recipe(
        name="unblur-prior",
        model=SemanticPriorConfig(two_pass=True),
        seed=23,
        objective=PriorTraining(),
        data=TrainingData(
            camera=shake, extra_sources=(severe,), sampling=PatchSampling(patch_px=192), repeats=4, repeat_gap=64
        ),
        optimization=Optimization(backbone_lr_scale=0.1, betas=(0.9, 0.99)),
        schedule=Schedule(steps=5_000, peak_learning_rate=1e-3),
        precision="float32",
    )
