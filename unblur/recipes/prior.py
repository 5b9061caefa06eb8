"""The semantic prior: EfficientNet-Lite0 taught to see through blur, for hosts that restore."""

from dataclasses import replace

from unblur.datasets.simulated import PatchSampling
from unblur.datasets.validation import CAMERA
from unblur.models import SemanticPriorConfig
from unblur.training.recipe import Recipe


def prior() -> Recipe:
    """Shake of a still scene, as far as anything is left to be seen of it. The backbone, which is the teacher, learns
    slowly: at the rate of the rest it forgot what sharp photographs look like.
    """
    return Recipe(
        name="unblur-prior",
        model=SemanticPriorConfig(),
        camera=replace(CAMERA, extent_px=(1.0, 32.0), still_share=0.05),
        sampling=PatchSampling(patch_px=192),
        uses=4,
        uses_apart=64,
        seed=23,
        steps=5_000,
        half=False,
        peak_learning_rate=1e-3,
        backbone_share=0.1,
        betas=(0.9, 0.99),
    )
