"""Whether the semantic prior helps: hosts trained with and without it on the same pairs, and without its parts.

Every run has a folder that is kept, with its measurements; a run that is measured is not done again, and one that was
stopped goes on. What is compared are runs of one seed: they begin with the same weights of the host and are shown the
same pairs.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from unblur.atomic import write_atomically
from unblur.checkpoints.folder import save_checkpoint
from unblur.checkpoints.priors import open_prior
from unblur.checkpoints.teacher import load_teacher
from unblur.datasets import Pair
from unblur.datasets.photo_folder import photos_fingerprint
from unblur.datasets.validation import ValidationSet
from unblur.errors import UnblurError
from unblur.evaluation.protocol import Protocol
from unblur.evaluation.row import Row, read_rows, to_csv
from unblur.models import PriorConfig, SemanticPriorConfig, build
from unblur.names import StudyHost
from unblur.recipes.prior_study import prior_study
from unblur.studies.claim import claim
from unblur.studies.prior_scores import measured
from unblur.training.beginning import begin
from unblur.training.loop import Progress, train
from unblur.training.precision import is_recipe_of, recorded_recipe
from unblur.training.recipe import Recipe

NO_PRIOR, WITH_PRIOR = "no prior", "prior"

ONLY_STRIDE_PX = 32
"""Of the ablation with one level: the deepest, which knows most of what is shown and least of where."""

UNDISTILLED = "undistilled"
"""Folder of the prior that was never taught: what the teacher sees in the blurry photograph."""


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """What all runs of a study have in common; `study.json` in its folder."""

    steps: int
    validation: ValidationSet
    prior: str
    """SHA-256 of the prior's weights."""
    photos: str
    """Fingerprint of the photographs that are trained on."""
    held_out: str
    """Fingerprint of the photographs that are measured on."""


@dataclass(frozen=True, kw_only=True)
class StudiedPrior:
    """A checkpoint of `unblur train prior`."""

    folder: Path
    network: SemanticPriorConfig
    train_patch_px: int


@dataclass(frozen=True, kw_only=True)
class Variant:
    """With or without a prior, and where the prior's weights come from."""

    title: str
    prior: PriorConfig | None = None
    prior_from: Path | None = None


@dataclass(frozen=True, kw_only=True)
class StudyRun:
    """One training run."""

    host: StudyHost
    variant: Variant
    recipe: Recipe
    folder: Path


def open_study(
    folder: Path, photos: Path, held_out: Path, prior_from: Path | None, *, steps: int, validation: ValidationSet
) -> StudiedPrior:
    """Claim `folder` for a study with these settings; the prior that is studied, of `prior_from` or the bundled one.

    Raises UnblurError when the folder holds another study, or `prior_from` no prior.
    """
    student, checkpoint = open_prior(prior_from)
    settings = StudySettings(
        steps=steps,
        validation=validation,
        prior=checkpoint.sha256,
        photos=photos_fingerprint(photos),
        held_out=photos_fingerprint(held_out),
    )
    claim(folder, settings)
    return StudiedPrior(folder=checkpoint.folder, network=student.config, train_patch_px=checkpoint.train_patch_px)


def plan(
    folder: Path, prior: StudiedPrior, hosts: tuple[StudyHost, ...], *, steps: int, seeds: int, ablation_seeds: int
) -> list[StudyRun]:
    """All hosts with and without the prior: the first with every seed, the others with one.

    The first `ablation_seeds` of the seeds are those that the first host is trained with without parts of the prior.
    """
    # Hosts see the blurry photograph alone: there is nothing restored yet that they could be told of.
    told = PriorConfig(network=replace(prior.network, looks_twice=False))
    full = Variant(title=WITH_PRIOR, prior=told, prior_from=prior.folder)
    compared = (Variant(title=NO_PRIOR), full)
    ablations = (
        replace(full, title="no distillation", prior_from=folder / UNDISTILLED),
        replace(full, title="one level", prior=replace(told, only_stride_px=ONLY_STRIDE_PX)),
        replace(full, title="no attention", prior=replace(told, attention=False)),
    )
    return [
        StudyRun(
            host=host,
            variant=variant,
            recipe=prior_study(host, variant.prior, steps=steps, seed=seed),
            folder=folder / f"{host}-{variant.title.replace(' ', '-')}-{seed}",
        )
        for place, host in enumerate(hosts)
        for seed in range(1, seeds + 1 if place == 0 else 2)
        for variant in (compared + ablations if place == 0 and seed <= ablation_seeds else compared)
    ]


def write_undistilled(folder: Path, prior: StudiedPrior) -> None:
    """The prior before training, which the study in `folder` compares with: its teacher, by another name."""
    untaught = folder / UNDISTILLED
    if (untaught / "model.safetensors").exists():
        return
    model = build(prior.network)
    begin(model, prior.network, None, None, load_teacher(prior.network.backbone))
    card = "A semantic prior before training, which is its teacher. Made by `unblur study prior`.\n"
    save_checkpoint(untaught, model, prior.network, train_patch_px=prior.train_patch_px, card=card)


def rows_of(
    run: StudyRun,
    photos: Path,
    pairs: list[Pair],
    protocol: Protocol,
    *,
    device: str = "cpu",
    on_step: Progress = lambda _step, _measured: None,
) -> list[Row]:
    """Measurements of `run` on `pairs`; it is trained on `photos` and measured where that has not been done yet.

    Raises UnblurError when its folder holds a run of another recipe.
    """
    table = run.folder / "measured.csv"
    if table.exists():
        recipe = run.folder / "recipe.json"
        if not is_recipe_of(recorded_recipe(recipe.read_text(encoding="utf-8"), recipe), run.recipe):
            raise UnblurError(f"{run.folder} holds a run of another recipe; give another folder, or remove it.")
    else:
        train(run.recipe, photos, run.folder, prior_from=run.variant.prior_from, device=device, on_step=on_step)
        write_atomically(table, to_csv(measured(run.folder, pairs, protocol, device)).encode())
    return read_rows(table)
