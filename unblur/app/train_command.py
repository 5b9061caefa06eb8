"""`unblur train`: a recipe and a folder of sharp photographs in, a checkpoint folder out."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from unblur.app.jobs import UsageError
from unblur.app.options import AnyDeviceName, CheckpointName, OptionalFolder, OptionalNumber, Quiet, Share
from unblur.names import Precision, RecipeName

if TYPE_CHECKING:
    from unblur.training.recipe import Recipe


def train(
    recipe: Annotated[tyro.conf.Positional[RecipeName], tyro.conf.arg(metavar="RECIPE")],
    *,
    run: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")],
    photos: OptionalFolder = None,
    pairs: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FOLDER...", help_behavior_hint="")] = (),
    pairs_share: Share = 0.2,
    init: OptionalFolder = None,
    init_prior: OptionalFolder = None,
    init_motion: OptionalFolder = None,
    init_nafnet: OptionalFolder = None,
    init_denoiser: CheckpointName = None,
    latent_encoder: Annotated[Path | None, tyro.conf.arg(metavar="FILE|FOLDER", help_behavior_hint="")] = None,
    captioner: CheckpointName = None,
    text_encoder: CheckpointName = None,
    steps: OptionalNumber = None,
    device: AnyDeviceName = "auto",
    precision: Annotated[
        Precision | None, tyro.conf.arg(metavar="auto|float32|bfloat16", help_behavior_hint="")
    ] = None,
    quiet: Quiet = False,
) -> int:
    """Train a network. After an interruption, the same command continues from the last checkpoint.

    On several devices: `torchrun --nproc-per-node 4 -m unblur train RECIPE -o RUN ...`; they share each batch.

    Args:
        recipe: The training run: autoencoder, decoder, faithful, glow, glow-0.6b, glow-1.6b, glow-captions,
            glow-joint, motion, multiscale, multiscale-finish, plain, pre-reconstruction, prior, smoke or unet; or a
            published network, trained as its authors did, which takes days on an accelerator: mimo-unet, mimo-unet+,
            mprnet, nafnet, nafnet-64 or restormer. With -prior (unet-prior and so on) the network also receives the
            semantic prior.
        run: The folder of the run, which becomes the checkpoint: weights, recipe, metrics.jsonl and model card.
        photos: Folder of sharp photographs; their blur is simulated. Not needed if --pairs-share is 1.
        pairs: Data sets to train on as well, each equally often: folders with blurry/ and sharp/, or data sets that
            `unblur datasets` lists.
        pairs_share: Share of the training patches from --pairs, above 0 and at most 1.
        init: Checkpoint whose weights initialise a new run.
        init_prior: Checkpoint of `unblur train prior` instead of the bundled one, for recipes that end in -prior and
            for recipes of glow.
        init_motion: Checkpoint of `unblur train motion` instead of the bundled one, for recipes of glow.
        init_nafnet: Checkpoint of `unblur train faithful` or `multiscale` whose NAFNet initialises that of recipes of
            glow, pre-reconstruction and multiscale.
        init_denoiser: SANA's transformer in the format of diffusers, which initialises the denoiser of recipes
            of glow; it must have the recipe's size.
        latent_encoder: The frozen encoder of the latents for decoder, recipes of glow and pre-reconstruction: the file
            taesana_encoder.pth, or, except for decoder, a checkpoint of `unblur train autoencoder` or a folder of
            diffusers with a DC-AE.
        captioner: Captioner of the library transformers instead of the recipe's, for recipes with captions.
        text_encoder: Text encoder instead of the recipe's, for the same; also a folder of diffusers that has one.
        steps: Number of updates instead of the recipe's; the learning rate schedule is stretched to it.
        device: Where to compute: auto uses an accelerator if there is one.
        precision: Precision of the computation instead of the recipe's; auto is bfloat16 on processors that support
            it natively, and float32 elsewhere. A continued run has the precision that it began with.
        quiet: Show neither the progress bar nor the precision.
    """
    from tqdm import tqdm

    from unblur import recipes
    from unblur.restoration.device import choose_device
    from unblur.training.allocator import keep_freed_memory
    from unblur.training.initialization import InitFrom
    from unblur.training.loop import train as run_training
    from unblur.training.processes import bind_to_local_device, is_first_process

    chosen = recipes.find_recipe(recipe)
    if steps is not None:
        chosen = replace(chosen, schedule=replace(chosen.schedule, steps=steps))
    if captioner is not None or text_encoder is not None:
        chosen = _replace_captioning(chosen, captioner, text_encoder)
    if precision is not None:
        chosen = replace(chosen, precision=precision)
    if pairs:
        chosen = _add_pairs(chosen, pairs, pairs_share)
    keep_freed_memory()
    bind_to_local_device()
    used = str(choose_device(device))
    hidden = quiet or not sys.stderr.isatty() or not is_first_process()
    with tqdm(total=chosen.schedule.steps, unit="step", disable=hidden) as bar:

        def on_begin(begun: "Recipe") -> None:
            if not quiet:
                bar.write(f"Training in {begun.precision} on {used}.", file=sys.stderr)

        def on_step(step: int, metrics: dict[str, float]) -> None:
            bar.update(step - bar.n)
            name, value = next(iter(metrics.items()))
            bar.set_postfix({name: f"{value:.2f}", "waited": f"{metrics['waited_share']:.0%}"})

        run_training(
            chosen,
            photos,
            run,
            init=InitFrom(
                checkpoint=init,
                prior=init_prior,
                motion=init_motion,
                nafnet=init_nafnet,
                denoiser=init_denoiser,
            ),
            latent_encoder=latent_encoder,
            device=used,
            on_begin=on_begin,
            on_step=on_step,
        )
    return 0


def _replace_captioning(recipe: "Recipe", captioner: str | None, text_encoder: str | None) -> "Recipe":
    """Return the recipe with another captioner or text encoder. Raises UsageError for one without captions."""
    from unblur.training.objective_settings import GlowTraining

    objective = recipe.objective
    if not isinstance(objective, GlowTraining) or objective.captions is None:
        raise UsageError(
            f"{recipe.name} trains without captions; leave out --captioner and --text-encoder, or train glow-captions."
        )
    captions = objective.captions
    captions = replace(
        captions,
        captioner=captioner or captions.captioner,
        text_encoder=text_encoder or captions.text_encoder,
    )
    return replace(recipe, objective=replace(objective, captions=captions))


def _add_pairs(recipe: "Recipe", pairs: tuple[Path, ...], share: float) -> "Recipe":
    """Return the recipe with `pairs`, whose share reduces those of all other sources in proportion."""
    from unblur.datasets import PairSet

    real = tuple(PairSet(folder=str(folder), share=share / len(pairs)) for folder in pairs)
    rest = tuple(replace(part, share=part.share * (1 - share)) for part in recipe.data.extra_sources if share < 1)
    return replace(recipe, data=replace(recipe.data, extra_sources=(*rest, *real)))
