"""The model card of a checkpoint: its purpose, its training, and its limits."""

import json
from pathlib import Path
from typing import assert_never

from unblur.datasets import PairSet, SyntheticText
from unblur.models import (
    AutoencoderConfig,
    BlurClassifierConfig,
    GlowConfig,
    KernelEstimatorConfig,
    LatentDecoderConfig,
    ModelConfig,
    MotionEstimatorConfig,
    PreReconstructionConfig,
    RestorerConfig,
    SemanticPriorConfig,
    ShakeFusionConfig,
)
from unblur.training.objective_settings import RestorationTraining
from unblur.training.progressive import list_phases
from unblur.training.recipe import Recipe
from unblur.training.restoration_loss import FeatureLoss, STLPIPSLoss


def write_model_card(recipe: Recipe, steps_done: int) -> str:
    """Return the text of a hub README.md for a checkpoint of `recipe` after `steps_done` updates."""
    patches = _describe_patches(recipe)
    data = _describe_data(recipe)
    return f"""---
license: apache-2.0
library_name: unblur
pipeline_tag: image-to-image
tags: [deblurring, image-restoration]
training_data: {json.dumps(data)}
---
# {recipe.name}

{_describe_purpose(recipe.model)} Not for forensic or identity use.

- Network: {recipe.model}
- Trained for {steps_done} of {recipe.schedule.steps} steps of {patches}, seed {recipe.seed}, in {recipe.precision}.
- Data: {data}.
{_describe_losses(recipe)}- Use: `{_describe_use(recipe.model)}`
"""


def _describe_patches(recipe: Recipe) -> str:
    texts = [f"{phase.batch} patches of {phase.patch_px} px" for phase in list_phases(recipe)]
    return ", then ".join(texts)


def _describe_data(recipe: Recipe) -> str:
    if isinstance(recipe.model, AutoencoderConfig | LatentDecoderConfig):
        return "sharp photographs, as they are"
    parts = ["sharp photographs blurred by the simulator of `unblur`"] if recipe.data.needs_photos else []
    parts += [
        f"{part.share:.0%} of the patches show drawn signs"
        for part in recipe.data.extra_sources
        if isinstance(part, SyntheticText)
    ]
    sets = [part for part in recipe.data.extra_sources if isinstance(part, PairSet)]
    # The place on the machine that trained is nobody's business.
    parts += [f"{part.share:.0%} of the patches are of the pairs in {Path(part.folder).name}" for part in sets]
    return "; ".join(parts)


def _describe_losses(recipe: Recipe) -> str:
    """Return a line with the loss of a restoring network, and a warning if a term compares more than pixels."""
    if not isinstance(recipe.objective, RestorationTraining):
        return ""
    losses = recipe.objective.losses
    text = " + ".join(f"{term.weight:g} x {type(term).__name__}" for term in losses)
    if any(isinstance(term, STLPIPSLoss | FeatureLoss) for term in losses):
        text += "; perceptual losses can introduce plausible but incorrect texture"
    return f"- Minimised: {text}.\n"


def _describe_purpose(model: ModelConfig) -> str:
    if isinstance(model, RestorerConfig):
        return (
            "Restores motion-blurred photographs. Faithful: a regression network, it averages over what may have "
            "been\nthere and invents no detail."
        )
    match model:
        case MotionEstimatorConfig():
            return (
                "Estimates, from a motion-blurred photograph alone, how every place of it moved during the exposure: "
                "a start and\nan end, which are interchangeable."
            )
        case SemanticPriorConfig():
            return (
                "Predicts, from a motion-blurred photograph, the features that a classifier computes from the sharp "
                "one, at\nseveral strides: a prior for restoring networks."
            )
        case PreReconstructionConfig():
            return (
                "Restores motion-blurred photographs and guesses the latents of the sharp ones: the first stage of "
                "GLOWDeblur."
            )
        case GlowConfig():
            return (
                "Restores motion-blurred photographs. Generative: where the blur left nothing, it puts what such\n"
                "photographs mostly show, which may not be what was there."
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
        case KernelEstimatorConfig():
            return "Estimates the blur kernel of camera shake from a photograph and a rough restoration of it."
        case ShakeFusionConfig():
            return "Joins the restoration of a photograph with its deconvolution."
        case BlurClassifierConfig():
            return "Classifies the blur of a photograph."
    assert_never(model)


def _describe_use(model: ModelConfig) -> str:
    if isinstance(model, RestorerConfig):
        return "unblur restore photo.jpg --checkpoint FOLDER"
    match model:
        case MotionEstimatorConfig():
            return "unblur patterns photos --checkpoint FOLDER"
        case SemanticPriorConfig():
            return "unblur train RECIPE --init-prior FOLDER"
        case PreReconstructionConfig():
            return "unblur train glow --init FOLDER"
        case GlowConfig(tokens=tokens):
            caption = ' --caption "A red bus." --text-encoder TEXT_ENCODER' if tokens != "regions" else ""
            return f"unblur restore photo.jpg --mode generative --checkpoint FOLDER --decoder DECODER{caption}"
        case AutoencoderConfig():
            return "unblur train glow --latent-encoder FOLDER"
        case LatentDecoderConfig():
            return "unblur restore photo.jpg --mode generative --checkpoint GENERATOR --decoder FOLDER"
        case KernelEstimatorConfig() | ShakeFusionConfig():
            return "python -m experiments.shake_evidence FOLDER --photos PHOTOS --fusion FUSION"
        case BlurClassifierConfig():
            return "python -m experiments.measure_blur_report PHOTOS --checkpoint FOLDER"
    assert_never(model)
