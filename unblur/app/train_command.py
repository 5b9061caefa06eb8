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
    start_from: Path | None = None,
    prior_from: Path | None = None,
    motion_from: Path | None = None,
    nafnet_from: Path | None = None,
    denoiser_from: str | None = None,
    encoder: Path | None = None,
    steps: int | None = None,
    device: str = "auto",
    precision: Precision | None = None,
    quiet: bool = False,
) -> int:
    """Train a network. Killed or interrupted, the same command goes on where the last checkpoint stopped.

    On several devices: `torchrun --nproc-per-node 4 -m unblur train RECIPE -o RUN ...`; they share each batch.

    Args:
        recipe: Which run to do; recipes are functions in `unblur/recipes`. Networks by name are trained as their
            authors did, which takes days on an accelerator; with -prior they are told what the photograph shows.
        run: Folder that becomes the checkpoint: weights, recipe, metrics.jsonl, model card.
        photos: Folder of sharp photographs; blur is simulated where it is wanted. Not needed where --pairs-share is 1.
        pairs: Data sets whose pairs for training are mixed in, equally often: folders with blurry/ and sharp/, or
            those that `unblur datasets` lists.
        pairs_share: Share of the patches that are of these pairs, above 0 and at most 1.
        start_from: Checkpoint folder whose weights a new run begins with.
        prior_from: Checkpoint folder of `unblur train prior`, for recipes that end in -prior and for glow, instead of
            the bundled one.
        motion_from: Checkpoint folder of `unblur train motion`, for glow and glow-joint, instead of the bundled one.
        hourglass_from: Checkpoint folder of `unblur train faithful` or `multiscale`, whose hourglass glow, glow-joint,
            pre-reconstruction and multiscale get instead of the one of --start-from.
        denoiser_from: Folder or hub id of SANA's transformer in the format of diffusers, for the denoiser of glow and
            glow-joint; it has to be of the recipe's size.
        encoder: File taesana_encoder.pth, for a decoder that learns to undo it; for glow, glow-joint and
            pre-reconstruction that, or a checkpoint folder of `unblur train autoencoder`.
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

    chosen = recipes.named(recipe)
    if steps is not None:
        chosen = replace(chosen, steps=steps)
    if precision is not None:
        chosen = replace(chosen, precision=precision)
    if pairs:
        chosen = _with_pairs(chosen, pairs, pairs_share)
    keep_freed_memory()
    used = str(choose_device(device))
    unseen = quiet or not sys.stderr.isatty() or not is_first_process()
    with tqdm(total=chosen.steps, unit="step", disable=unseen) as bar:

        def on_begin(begun: "Recipe") -> None:
            if not quiet:
                bar.write(f"Training in {begun.precision} on {used}.", file=sys.stderr)

        def on_step(step: int, measured: dict[str, float]) -> None:
            bar.update(step - bar.n)
            name, value = next(iter(measured.items()))
            bar.set_postfix({name: f"{value:.2f}", "waited": f"{measured['waited_share']:.0%}"})

        run_training(
            chosen,
            photos,
            run,
            init=InitFrom(
                checkpoint=start_from,
                prior=prior_from,
                motion=motion_from,
                nafnet=nafnet_from,
                denoiser=denoiser_from,
            ),
            encoder_from=encoder,
            device=used,
            on_begin=on_begin,
            on_step=on_step,
        )
    return 0


def _with_pairs(recipe: "Recipe", pairs: tuple[Path, ...], share: float) -> "Recipe":
    """`pairs` take their share from all else in proportion."""
    from unblur.datasets import PairSet

    real = tuple(PairSet(folder=str(folder), share=share / len(pairs)) for folder in pairs)
    rest = tuple(replace(part, share=part.share * (1 - share)) for part in recipe.extra_sources if share < 1)
    return replace(recipe, extra_sources=(*rest, *real))
