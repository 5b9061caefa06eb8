"""The model card that every checkpoint carries: what it is, how it was made, what it must not be used for."""

from typing import assert_never

from unblur.models import (
    AutoencoderConfig,
    LatentDecoderConfig,
    ModelConfig,
    MotionEstimatorConfig,
    RestorerConfig,
    SemanticPriorConfig,
)
from unblur.training.recipe import Recipe


def model_card(recipe: Recipe, steps_done: int) -> str:
    """Text of a hub README.md for a checkpoint of `recipe` after `steps_done` updates."""
    return f"""---
license: apache-2.0
library_name: unblur
pipeline_tag: image-to-image
tags: [deblurring, image-restoration]
---
# {recipe.name}

{_purpose(recipe.model)} Not for forensic or identity use.

- Network: {recipe.model}
- Trained for {steps_done} of {recipe.steps} steps of {recipe.batch} patches of {recipe.sampling.patch_px} px, \
seed {recipe.seed}; `recipe.json` has the rest.
- Data: {_data(recipe.model)}
- Use: `{_use(recipe.model)}`
"""


def _purpose(model: ModelConfig) -> str:
    if isinstance(model, RestorerConfig):
        return (
            "Restores motion-blurred photographs. Faithful: a regression network, it averages over what may have "
            "been\nthere and invents no detail."
        )
    match model:
        case MotionEstimatorConfig():
            return (
                "Estimates, from a motion-blurred photograph alone, how every place of it moved during the exposure: "
                "a start and\nan end, of which nobody can tell which is which."
            )
        case SemanticPriorConfig():
            return (
                "Tells, from a motion-blurred photograph, what a classifier would have seen in the sharp one: features "
                "at\nseveral strides, a prior for networks that restore."
            )
        case AutoencoderConfig():
            return (
                "Turns photographs into 32 numbers for each square of 32 x 32 pixels, and back: "
                "what\na network that generates works on. It keeps the gist and paints detail that may not be there."
            )
        case LatentDecoderConfig():
            return (
                "Turns latents of SANA's autoencoder, 32 numbers for each square of 32 x 32 pixels, into photographs; "
                "learnt\non those of TAESANA's encoder, which is not in it. It paints detail that may not be there."
            )
    assert_never(model)


def _data(model: ModelConfig) -> str:
    if isinstance(model, AutoencoderConfig | LatentDecoderConfig):
        return "sharp photographs, as they are."
    return "sharp photographs blurred by the simulator of `unblur`."


def _use(model: ModelConfig) -> str:
    if isinstance(model, RestorerConfig):
        return "unblur restore photo.jpg --checkpoint FOLDER"
    match model:
        case MotionEstimatorConfig():
            return "unblur patterns photos --checkpoint FOLDER"
        case SemanticPriorConfig():
            return "unblur train RECIPE --prior-from FOLDER"
        case AutoencoderConfig():
            return "unblur study reconstruction photos --checkpoint FOLDER"
        case LatentDecoderConfig():
            return "unblur study reconstruction photos --checkpoint FOLDER --encoder taesana_encoder.pth"
    assert_never(model)
