"""The bundled faithful network: GLOWDeblur's pre-reconstruction hourglass, sized for two CPU cores."""

from unblur.models import NAFNetConfig
from unblur.training.recipe import Recipe


def faithful() -> Recipe:
    """First leg: simulated camera shake only."""
    return Recipe(
        name="unblur-faithful",
        model=NAFNetConfig(
            width=32,
            encoder_blocks=(2, 2, 2, 2),
            middle_blocks=2,
            decoder_blocks=(2, 2, 2, 2),
            stem_stride=2,
        ),
        steps=14_000,
    )
