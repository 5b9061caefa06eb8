"""The motion estimator, for motion guidance and for measuring the blur of photographs without ground truth."""

from unblur.datasets.simulated import PatchSampling
from unblur.models import MotionEstimatorConfig
from unblur.training.objective_settings import MotionTraining
from unblur.training.recipe import Optimization, Recipe, Schedule, TrainingData


def motion() -> Recipe:
    """Return the recipe on all blur of the simulator, 1 to 80 px: true paths, and a reblur loss.

    Made the bundled weights. Those before had true paths alone, and seed 11 (docs/results/training-log.md).
    """
    return Recipe(
        name="unblur-motion",
        model=MotionEstimatorConfig(),
        seed=19,
        data=TrainingData(sampling=PatchSampling(patch_px=160), repeats=8, repeat_gap=32),
        objective=MotionTraining(reblur_weight=10.0),
        optimization=Optimization(betas=(0.9, 0.99)),
        schedule=Schedule(steps=16_000),
    )
