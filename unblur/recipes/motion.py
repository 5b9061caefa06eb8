"""The motion estimator, for motion guidance and for measuring the blur of photographs without ground truth."""

from unblur.datasets.simulated import PatchSampling
from unblur.models import MotionEstimatorConfig
from unblur.training.recipe import Recipe


def motion() -> Recipe:
    """Second leg: everything that the simulator knows, 1 to 80 px, and blurring again as a loss beside true paths.

    Begins with the weights of the first, the bundled ones, which had true paths alone, 16,000 steps of 1e-3 and seed
    11. Its own are not bundled: docs/training.md says why.
    """
    return Recipe(
        name="unblur-motion",
        model=MotionEstimatorConfig(),
        sampling=PatchSampling(patch_px=160),
        uses=8,
        uses_apart=32,
        seed=17,
        steps=1_200,
        peak_learning_rate=3e-5,
        betas=(0.9, 0.99),
        reblur_weight=10.0,
    )
