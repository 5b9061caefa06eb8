"""Training runs by name. A recipe is a function that returns a complete `Recipe`; nothing else configures it."""

from typing import assert_never

from unblur.names import RecipeName
from unblur.recipes.autoencoder import autoencoder, decoder
from unblur.recipes.faithful import faithful
from unblur.recipes.glow import glow, glow_captions, glow_joint, glow_large, pre_reconstruction
from unblur.recipes.hosts import mimo_unet, mprnet, nafnet, nafnet_64, restormer, unet
from unblur.recipes.motion import motion
from unblur.recipes.multiscale import multiscale, multiscale_finish
from unblur.recipes.plain import plain
from unblur.recipes.prior import prior
from unblur.recipes.smoke import smoke
from unblur.training.recipe import Recipe


def find_recipe(name: RecipeName) -> Recipe:
    """Return the recipe of `unblur train NAME`; names that end in -prior are of hosts with the semantic prior."""
    with_prior = name.endswith("-prior")
    match name:
        case "autoencoder":
            return autoencoder()
        case "decoder":
            return decoder()
        case "faithful":
            return faithful()
        case "glow":
            return glow()
        case "glow-0.6b":
            return glow_large("0.6b")
        case "glow-1.6b":
            return glow_large("1.6b")
        case "glow-captions":
            return glow_captions()
        case "glow-joint":
            return glow_joint()
        case "motion":
            return motion()
        case "multiscale":
            return multiscale()
        case "multiscale-finish":
            return multiscale_finish()
        case "plain":
            return plain()
        case "pre-reconstruction":
            return pre_reconstruction()
        case "prior":
            return prior()
        case "smoke":
            return smoke()
        case "unet" | "unet-prior":
            return unet(with_prior=with_prior)
        case "mimo-unet" | "mimo-unet-prior":
            return mimo_unet(plus=False, with_prior=with_prior)
        case "mimo-unet+" | "mimo-unet+-prior":
            return mimo_unet(plus=True, with_prior=with_prior)
        case "mprnet" | "mprnet-prior":
            return mprnet(with_prior=with_prior)
        case "nafnet" | "nafnet-prior":
            return nafnet(with_prior=with_prior)
        case "nafnet-64" | "nafnet-64-prior":
            return nafnet_64(with_prior=with_prior)
        case "restormer" | "restormer-prior":
            return restormer(with_prior=with_prior)
    assert_never(name)
