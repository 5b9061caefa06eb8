"""The bundled faithful network: GLOWDeblur's pre-reconstruction hourglass, sized for two CPU cores."""

from unblur.models import NAFNetConfig
from unblur.training.recipe import Recipe


def faithful() -> Recipe:
    """Simulated camera shake only. Second leg: begins with the weights of the first, which had seed 1."""
    return Recipe(
        name="unblur-faithful",
        model=NAFNetConfig(
            width=32,
            encoder_blocks=(2, 2, 2, 2),
            middle_blocks=2,
            decoder_blocks=(2, 2, 2, 2),
            stem_stride=2,
        ),
        seed=2,
        steps=21_000,
    )
