"""What GLOWDeblur's parts do: runs that are alike in everything but one part, for `unblur study glow`."""

from dataclasses import replace

from unblur.datasets import Ingredient
from unblur.models import GlowConfig
from unblur.recipes.glow import glow, glow_joint
from unblur.training.recipe import Recipe


def glow_study(
    *, joint: bool, aligned: bool, sources: tuple[Ingredient, ...], steps: int, kept: int, seed: int
) -> Recipe:
    """A stage of a study: the rate of Stage I, or of the joint Stage II, on `kept` patches.

    Learns from `sources` in equal shares, or without any from all that the simulator knows. Not `aligned` is without
    pre-reconstruction and its alignment.
    """
    stage = glow_joint() if joint else glow()
    assert isinstance(stage.model, GlowConfig)
    return replace(
        stage,
        name=f"unblur-study-{'joint' if joint else 'glow'}",
        model=stage.model if aligned else replace(stage.model, pre_reconstruction=None),
        mixed_in=tuple(replace(source, share=1 / len(sources)) for source in sources),
        steps=steps,
        warmup_steps=min(stage.warmup_steps, steps // 10),
        glow=replace(stage.glow, kept=kept),
        seed=seed,
    )
