"""`unblur train`: a recipe and a folder of sharp photographs in, a checkpoint folder out."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from unblur.names import Precision, RecipeName

if TYPE_CHECKING:
    from unblur.training.recipe import Recipe


def train(
    recipe: tyro.conf.Positional[RecipeName],
    *,
    run: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    photos: Path | None = None,
    pairs: tuple[Path, ...] = (),
    pairs_share: float = 0.2,
    init: Path | None = None,
    init_prior: Path | None = None,
    init_motion: Path | None = None,
    init_nafnet: Path | None = None,
    init_denoiser: str | None = None,
    latent_encoder: Path | None = None,
    steps: int | None = None,
    device: str = "auto",
    precision: Precision | None = None,
    quiet: bool = False,
) -> int:
    """Train a network. Killed or interrupted, the same command goes on where the last checkpoint stopped.

    On several devices: `torchrun --nproc-per-node 4 -m unblur train RECIPE -o RUN ...`; they share each batch.

    Args:
        recipe: Which run to do; recipes are functions in `unblur/recipes`. Networks by name are trained as their
            authors did, which takes days on an accelerator; with -prior their decoders get a semantic prior.
        run: Folder that becomes the checkpoint: weights, recipe, metrics.jsonl, model card.
        photos: Folder of sharp photographs; blur is simulated where it is wanted. Not needed where --pairs-share is 1.
        pairs: Data sets whose pairs for training are mixed in, equally often: folders with blurry/ and sharp/, or
            those that `unblur datasets` lists.
        pairs_share: Share of the patches that are of these pairs, above 0 and at most 1.
        init: Checkpoint folder whose weights initialise a new run.
        init_prior: Checkpoint folder of `unblur train prior`, for recipes that end in -prior and for glow, instead of
            the bundled one.
        init_motion: Checkpoint folder of `unblur train motion`, for glow and glow-joint, instead of the bundled one.
        init_nafnet: Checkpoint folder of `unblur train faithful` or `multiscale`, whose NAFNet replaces that of glow,
            glow-joint, pre-reconstruction and multiscale.
        init_denoiser: Folder or hub id of SANA's transformer in the format of diffusers, for the denoiser of glow and
            glow-joint; it has to be of the recipe's size.
        latent_encoder: File taesana_encoder.pth, the frozen encoder of the latents, for decoder, glow, glow-joint and
            pre-reconstruction; the last three also take a checkpoint folder of `unblur train autoencoder`.
        steps: Number of updates, instead of the recipe's; the learning rate's schedule follows.
        device: auto, cpu, cuda, ...
        precision: Precision to compute in, instead of the recipe's; auto is bfloat16 where the processor computes in it
            natively, and float32 elsewhere. A run keeps the precision that it began in.
        quiet: No progress bar, and no line that says which precision the run computes in.
    """
    from tqdm import tqdm

    from unblur import recipes
    from unblur.restoration.device import choose_device
    from unblur.training.allocator import keep_freed_memory
    from unblur.training.initialization import InitFrom
    from unblur.training.loop import train as run_training
    from unblur.training.processes import is_first_process

    chosen = recipes.find_recipe(recipe)
    if steps is not None:
        chosen = replace(chosen, steps=steps)
    if precision is not None:
        chosen = replace(chosen, precision=precision)
    if pairs:
        chosen = _with_pairs(chosen, pairs, pairs_share)
    keep_freed_memory()
    used = str(choose_device(device))
    hidden = quiet or not sys.stderr.isatty() or not is_first_process()
    with tqdm(total=chosen.steps, unit="step", disable=hidden) as bar:

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


def _with_pairs(recipe: "Recipe", pairs: tuple[Path, ...], share: float) -> "Recipe":
    """Return the recipe with `pairs`, whose share reduces those of all other sources in proportion."""
    from unblur.datasets import PairSet

    real = tuple(PairSet(folder=str(folder), share=share / len(pairs)) for folder in pairs)
    rest = tuple(replace(part, share=part.share * (1 - share)) for part in recipe.extra_sources if share < 1)
    return replace(recipe, extra_sources=(*rest, *real))
