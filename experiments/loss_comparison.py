"""Compare losses for the bundled network: short runs from the same weights that differ only in their loss."""

import sys
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from experiments.harness import ProgressBars, Report, lock_settings, sample_images, select_one, write_table
from experiments.harness import run as run_experiment
from experiments.severe_half import make_summary_csv, make_summary_text, measure_method, summarize
from unblur.checkpoints.folder import BUNDLED_FAITHFUL, load_checkpoint
from unblur.datasets.photo_folder import compute_photos_fingerprint
from unblur.errors import UnblurError
from unblur.evaluation.method import MethodSpec
from unblur.recipes.faithful import faithful
from unblur.restoration.device import choose_device
from unblur.training.allocator import keep_freed_memory
from unblur.training.initialization import InitFrom
from unblur.training.loop import train
from unblur.training.objective_settings import RestorationTraining
from unblur.training.recipe import Recipe
from unblur.training.restoration_loss import FrequencyLoss, L1Loss, LossTerm, PSNRLoss, STLPIPSLoss


def make_loss_recipes(*, steps: int, seed: int) -> tuple[Recipe, ...]:
    """Return the recipes: the loss of the bundled weights first, then losses that replace it or are added to it.

    At the error that the bundled weights leave, 0.03 of white, the gradient of the frequency loss is a third, and that
    of ST-LPIPS a tenth, of the gradient of PSNR; that of L1 is equal to it. A hundredth less error is 0.09 dB.
    """
    terms: dict[str, tuple[LossTerm, ...]] = {
        "PSNR": (PSNRLoss(),),
        "L1": (L1Loss(weight=500.0),),
        "PSNR and frequencies": (PSNRLoss(), FrequencyLoss(weight=1.0)),
        "PSNR and ST-LPIPS": (PSNRLoss(), STLPIPSLoss(weight=10.0)),
    }
    before = faithful()
    recipe = replace(
        before,
        seed=seed,
        optimization=replace(before.optimization, ema_decay=0.995),
        schedule=replace(before.schedule, steps=steps, peak_learning_rate=2e-4, warmup_steps=min(100, steps // 10)),
        checkpoint_every=min(500, steps),
    )
    return tuple(
        replace(recipe, name=name, objective=RestorationTraining(losses=of_name)) for name, of_name in terms.items()
    )


@dataclass(frozen=True, kw_only=True)
class LossStudy:
    """Settings of all runs; stored as study.json in the output folder."""

    steps: int
    seed: int
    started_from: str
    """SHA-256 of the initial weights of all runs."""
    photos: str
    """Fingerprint of the photographs that are trained on."""


def make_comparison_settings(photos: Path, init: Path, *, steps: int, seed: int) -> LossStudy:
    """Return the settings, with fingerprints of all inputs. Raises UnblurError when one cannot be read."""
    return LossStudy(
        steps=steps,
        seed=seed,
        started_from=load_checkpoint(init).sha256,
        photos=compute_photos_fingerprint(photos),
    )


def train_recipe(recipe: Recipe, photos: Path, init: Path, folder: Path, device: str, report: Report) -> Path:
    """Train a recipe in `folder`, unless that was done before, and return its checkpoint. Raises UnblurError."""
    run = folder / "runs" / recipe.name.replace(" ", "-")
    train(
        recipe,
        photos,
        run,
        init=InitFrom(checkpoint=init),
        device=device,
        on_step=lambda step, _: report(f"{recipe.name}: training", step, recipe.schedule.steps),
    )
    return run


def loss_comparison(
    folders: tyro.conf.Positional[list[Path]],
    *,
    photos: Path,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    init: Path | None = None,
    steps: int = 1_000,
    seed: int = 1,
    pictures: int | None = None,
    only: int | None = None,
    device: str = "auto",
) -> int:
    """Train the bundled NAFNet a little longer with each of several losses, and compare what it restores.

    All runs begin with the same weights and see the same patches. An interrupted command continues.

    Args:
        folders: To measure on, each with blurry/ and sharp/.
        photos: Folder of sharp photographs to train on.
        output: Folder for the networks (runs/), every picture's numbers (tables/) and the table.
        init: Checkpoint folder of `unblur train faithful`, instead of the bundled NAFNet.
        steps: Number of updates of each run.
        seed: Random seed of all patches.
        pictures: At most so many of every folder, evenly spread.
        only: Number of one loss, from 0, instead of all: processes can share the work before the table is made.
        device: auto, cpu, cuda, ...
    """
    if steps < 1:
        raise UnblurError("--steps must be at least 1.")
    recipes = select_one(make_loss_recipes(steps=steps, seed=seed), only, "loss")
    found = [sample_images(folder, pictures) for folder in folders]
    begin = init or BUNDLED_FAITHFUL
    lock_settings(output, make_comparison_settings(photos, begin, steps=steps, seed=seed))
    keep_freed_memory()
    where = str(choose_device(device))
    sets, texts = {}, []
    with closing(ProgressBars()) as bars:
        runs = {"at the beginning": begin} | {
            recipe.name: train_recipe(recipe, photos, begin, output, where, bars) for recipe in recipes
        }
        for chosen in found:
            rows = {
                title: measure_method(
                    chosen, MethodSpec(checkpoint=str(run), device=device), output / "tables" / run.name, bars
                )
                for title, run in runs.items()
            }
            lines = sets[chosen.data_set] = summarize(rows)
            texts.append(make_summary_text(chosen, lines))
    title = f"Runs of {steps} steps, seed {seed}, with several losses."
    write_table(output, "losses", title, "\n".join(texts), make_summary_csv(sets))
    return 0


if __name__ == "__main__":
    sys.exit(run_experiment(loss_comparison))
