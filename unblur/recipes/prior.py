"""The semantic prior: EfficientNet-Lite0 taught to see through blur, for hosts that restore."""

from unblur.datasets.simulated import PatchSampling
from unblur.models import SemanticPriorConfig
from unblur.training.recipe import Recipe


def prior() -> Recipe:
    """First leg: everything that the simulator knows, in patches large enough to show things."""
    return Recipe(
        name="unblur-prior",
        model=SemanticPriorConfig(),
        sampling=PatchSampling(patch_px=192),
        uses=4,
        uses_apart=64,
        seed=21,
        steps=6_000,
        peak_learning_rate=3e-4,
        betas=(0.9, 0.99),
    )
