"""Training runs by name. A recipe is a function that returns a complete `Recipe`; nothing else configures it."""

from typing import Literal, assert_never

from unblur.recipes.autoencoder import autoencoder, decoder
from unblur.recipes.faithful import faithful
from unblur.recipes.motion import motion
from unblur.recipes.prior import prior
from unblur.recipes.smoke import smoke
from unblur.training.recipe import Recipe

RecipeName = Literal["autoencoder", "decoder", "faithful", "motion", "prior", "smoke"]


def named(name: RecipeName) -> Recipe:
    """The recipe that `unblur train NAME` runs."""
    match name:
        case "autoencoder":
            return autoencoder()
        case "decoder":
            return decoder()
        case "faithful":
            return faithful()
        case "motion":
            return motion()
        case "prior":
            return prior()
        case "smoke":
            return smoke()
    assert_never(name)
