"""Candidates for the bundled network: alike in everything but their shape, for `unblur study sizes`."""

from dataclasses import replace

from unblur.models import NAFNetConfig, PriorConfig, RestorerConfig, UNetConfig
from unblur.recipes.faithful import faithful
from unblur.training.recipe import Recipe


def sizes() -> tuple[Recipe, ...]:
    """The bundled shape first. Plain ones have only 3x3 convolutions in their blocks, trained as one or as two."""
    bundled = NAFNetConfig(
        width=32, encoder_blocks=(2, 2, 2, 2), middle_blocks=2, decoder_blocks=(2, 2, 2, 2), stem_stride=2
    )
    shapes: dict[str, RestorerConfig] = {
        "width 32, stem 2": bundled,
        "width 64, stem 4": NAFNetConfig(
            width=64, encoder_blocks=(3, 3, 3), middle_blocks=3, decoder_blocks=(3, 3, 3), stem_stride=4
        ),
        "width 32, stem 2, deep end": NAFNetConfig(
            width=32, encoder_blocks=(1, 2, 3, 4), middle_blocks=2, decoder_blocks=(4, 3, 2, 1), stem_stride=2
        ),
        "width 24, no stem": NAFNetConfig(
            width=24, encoder_blocks=(2, 2, 2, 2), middle_blocks=2, decoder_blocks=(2, 2, 2, 2)
        ),
        "width 32, stem 2, told the prior": replace(bundled, prior=PriorConfig()),
        "plain, width 32, stem 2": UNetConfig(channels=(32, 64, 128, 256), blocks=2, stem_stride=2),
        "plain, width 32, stem 2, trained as two": UNetConfig(
            channels=(32, 64, 128, 256), blocks=2, stem_stride=2, expanded=256
        ),
    }
    return tuple(replace(faithful(), name=name, model=model, seed=1, uses=4) for name, model in shapes.items())
