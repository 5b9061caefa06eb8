"""`unblur train`: a recipe and a folder of sharp photographs in, a checkpoint folder out."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

RecipeName = Literal["autoencoder", "decoder", "faithful", "motion", "prior", "smoke"]


def train(
    recipe: tyro.conf.Positional[RecipeName],
    *,
    photos: Path,
    run: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    start_from: Path | None = None,
    prior_from: Path | None = None,
    encoder: Path | None = None,
    steps: int | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> int:
    """Train a network. Killed or interrupted, the same command goes on where the last checkpoint stopped.

    Args:
        recipe: Which run to do; recipes are functions in `unblur/recipes`.
        photos: Folder of sharp photographs; blur is simulated where it is wanted.
        run: Folder that becomes the checkpoint: weights, recipe, metrics.jsonl, model card.
        start_from: Checkpoint folder whose weights a new run begins with.
        prior_from: Checkpoint folder of `unblur train prior`, for a network that is told a prior.
        encoder: File taesana_encoder.pth, for a decoder that learns to undo it.
        steps: Number of updates, instead of the recipe's; the learning rate's schedule follows.
        device: auto, cpu, cuda, ...
        quiet: No progress bar.
    """
    from tqdm import tqdm

    from unblur import recipes
    from unblur.restoration.device import choose_device
    from unblur.training.allocator import keep_freed_memory
    from unblur.training.loop import train as run_training

    chosen = recipes.named(recipe)
    if steps is not None:
        chosen = replace(chosen, steps=steps)
    keep_freed_memory()
    with tqdm(total=chosen.steps, unit="step", disable=quiet or not sys.stderr.isatty()) as bar:

        def on_step(step: int, measured: dict[str, float]) -> None:
            bar.update(step - bar.n)
            name, value = next(iter(measured.items()))
            bar.set_postfix({name: f"{value:.2f}", "waited": f"{measured['waited_share']:.0%}"})

        run_training(
            chosen,
            photos,
            run,
            start_from=start_from,
            prior_from=prior_from,
            encoder_from=encoder,
            device=str(choose_device(device)),
            on_step=on_step,
        )
    return 0
