"""The semantic prior: EfficientNet-Lite0 taught to see through blur, for hosts that restore."""

from dataclasses import replace

from unblur.datasets.simulated import PatchSampling
from unblur.datasets.validation import CAMERA
from unblur.models import SemanticPriorConfig
from unblur.training.recipe import Recipe


def prior() -> Recipe:
    """Second leg: shake of a still scene, from 3 px on. Begins with the weights of the first: seed 23, 1e-3, batches of
    8, blur from 1 px on.

    The backbone, which is the teacher, learns slowly: at the rate of the rest it forgot what sharp photographs look
    like.
    """
    return Recipe(
        name="unblur-prior",
        model=SemanticPriorConfig(),
        camera=replace(CAMERA, extent_px=(3.0, 32.0), still_share=0.08),
        sampling=PatchSampling(patch_px=192),
        uses=4,
        uses_apart=64,
        seed=24,
        steps=7_000,
        batch=4,
        half=False,
        peak_learning_rate=7e-4,
        backbone_share=0.1,
        betas=(0.9, 0.99),
    )
