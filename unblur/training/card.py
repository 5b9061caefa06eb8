"""The model card that every checkpoint carries: what it is, how it was made, what it must not be used for."""

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

Restores motion-blurred photographs. Faithful: a regression network, it averages over what may have been
there and invents no detail. Not for forensic or identity use.

- Network: {recipe.model}
- Trained for {steps_done} of {recipe.steps} steps of {recipe.batch} patches of {recipe.sampling.patch_px} px, \
seed {recipe.seed}; `recipe.json` has the rest.
- Data: sharp photographs blurred by the simulator of `unblur` (camera shake, highlights, noise, JPEG).
- Use: `unblur restore photo.jpg --checkpoint FOLDER`
"""
