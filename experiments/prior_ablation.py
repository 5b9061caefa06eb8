"""Train small host networks with the semantic prior, without it, and without its parts, on the same pairs.

Every run has a folder with its measurements; a measured run is not repeated, and an interrupted one continues. Runs are
compared at equal seeds: they begin with the same weights of the host and see the same pairs.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, NoReturn, assert_never

import tyro
from tqdm import tqdm

from experiments.feature_similarity import open_prior
from experiments.harness import lock_settings
from experiments.harness import run as run_experiment
from experiments.prior_scores import (
    load_prior_protocol,
    make_result_csv,
    make_result_table,
    measure_pairs,
    summarize_run,
)
from unblur.app.output_file import write_output
from unblur.atomic import write_atomically
from unblur.checkpoints.folder import save_checkpoint
from unblur.checkpoints.teacher import load_teacher
from unblur.datasets import Pair, PhotoFolder
from unblur.datasets.photo_folder import compute_photos_fingerprint
from unblur.datasets.validation import CAMERA, ValidationSet, simulate_validation_pairs
from unblur.errors import UnblurError
from unblur.evaluation.protocol import Protocol
from unblur.evaluation.row import Row, read_rows, to_csv
from unblur.metrics.perceptual import SMALLEST_PX
from unblur.models import (
    HostConfig,
    MIMOUNetConfig,
    MPRNetConfig,
    NAFNetConfig,
    PriorConfig,
    RestormerConfig,
    SemanticPriorConfig,
    UNetConfig,
    build,
)
from unblur.recipes.hosts import mimo_unet, mprnet, nafnet, restormer, unet
from unblur.restoration.device import choose_device
from unblur.training.allocator import keep_freed_memory
from unblur.training.initialization import InitFrom
from unblur.training.loop import Progress, train
from unblur.training.objective_settings import RestorationTraining
from unblur.training.precision import is_recipe_of, read_recorded_recipe
from unblur.training.recipe import Optimization, Recipe, Schedule, TrainingData
from unblur.training.restoration_loss import LossTerm

SmallHost = Literal["unet", "mimo-unet", "nafnet", "mprnet", "restormer"]

NO_PRIOR, WITH_PRIOR = "no prior", "prior"

ONLY_STRIDE_PX = 32
"""Stride of the level in the ablation with one level: the deepest, with most information on content."""

UNDISTILLED = "undistilled"
"""Folder of the prior without distillation: the teacher's features of the blurry photograph."""


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """Settings of all runs; stored as study.json in the output folder."""

    steps: int
    validation: ValidationSet
    prior: str
    """SHA-256 of the prior's weights."""
    photos: str
    """Fingerprint of the photographs that are trained on."""
    held_out: str
    """Fingerprint of the photographs that are measured on."""


@dataclass(frozen=True, kw_only=True)
class AblatedPrior:
    """A checkpoint of `unblur train prior`."""

    folder: Path
    network: SemanticPriorConfig
    train_patch_px: int


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A configuration of the prior, or none, and the source of the prior's weights."""

    title: str
    prior: PriorConfig | None = None
    init_prior: Path | None = None


@dataclass(frozen=True, kw_only=True)
class AblationRun:
    """One training run."""

    host: SmallHost
    variant: Variant
    recipe: Recipe
    folder: Path


def open_ablation(
    folder: Path, photos: Path, held_out: Path, init_prior: Path | None, *, steps: int, validation: ValidationSet
) -> AblatedPrior:
    """Lock the settings in `folder` and return the prior to study, of `init_prior` or the bundled one.

    Raises UnblurError when the folder holds other settings, or `init_prior` no prior.
    """
    student, checkpoint = open_prior(init_prior)
    settings = StudySettings(
        steps=steps,
        validation=validation,
        prior=checkpoint.sha256,
        photos=compute_photos_fingerprint(photos),
        held_out=compute_photos_fingerprint(held_out),
    )
    lock_settings(folder, settings)
    return AblatedPrior(folder=checkpoint.folder, network=student.config, train_patch_px=checkpoint.train_patch_px)


def plan_runs(
    folder: Path, prior: AblatedPrior, hosts: tuple[SmallHost, ...], *, steps: int, seeds: int, ablation_seeds: int
) -> list[AblationRun]:
    """Plan all runs: every host with and without the prior, the first with every seed, the others with one.

    With the first `ablation_seeds` of the seeds the first host is also trained without parts of the prior.
    """
    # Hosts get the blurry photograph alone: there is no restored one yet for a second pass.
    with_prior = PriorConfig(network=replace(prior.network, two_pass=False))
    full = Variant(title=WITH_PRIOR, prior=with_prior, init_prior=prior.folder)
    compared = (Variant(title=NO_PRIOR), full)
    ablations = (
        replace(full, title="no distillation", init_prior=folder / UNDISTILLED),
        replace(full, title="one level", prior=replace(with_prior, only_stride_px=ONLY_STRIDE_PX)),
        replace(full, title="no attention", prior=replace(with_prior, attention=False)),
    )
    return [
        AblationRun(
            host=host,
            variant=variant,
            recipe=make_ablation_recipe(host, variant.prior, steps=steps, seed=seed),
            folder=folder / f"{host}-{variant.title.replace(' ', '-')}-{seed}",
        )
        for place, host in enumerate(hosts)
        for seed in range(1, seeds + 1 if place == 0 else 2)
        for variant in (compared + ablations if place == 0 and seed <= ablation_seeds else compared)
    ]


def write_undistilled(folder: Path, prior: AblatedPrior) -> None:
    """Write the prior before training, which equals its teacher, as a checkpoint in `folder`."""
    undistilled = folder / UNDISTILLED
    if (undistilled / "model.safetensors").exists():
        return
    model = build(prior.network)
    model.get_submodule("backbone").load_state_dict(load_teacher(prior.network.backbone).state_dict())
    card = "A semantic prior before training, which is its teacher. Made by `experiments.prior_ablation`.\n"
    save_checkpoint(undistilled, model, prior.network, train_patch_px=prior.train_patch_px, card=card)


def measure_run(
    run: AblationRun,
    photos: Path,
    pairs: list[Pair],
    protocol: Protocol,
    *,
    device: str = "cpu",
    on_step: Progress = lambda _step, _measured: None,
) -> list[Row]:
    """Return the rows of `run` on `pairs`; it is trained on `photos` and measured if that has not been done.

    Raises UnblurError when its folder holds a run of another recipe.
    """
    table = run.folder / "measured.csv"
    if table.exists():
        recipe = run.folder / "recipe.json"
        if not is_recipe_of(read_recorded_recipe(recipe.read_text(encoding="utf-8"), recipe), run.recipe):
            raise UnblurError(f"{run.folder} holds a run of another recipe; give another folder, or remove it.")
    else:
        train(
            run.recipe, photos, run.folder, init=InitFrom(prior=run.variant.init_prior), device=device, on_step=on_step
        )
        write_atomically(table, to_csv(measure_pairs(run.folder, pairs, protocol, device)).encode())
    return read_rows(table)


SHAKE = replace(CAMERA, extent_px=(1.0, 32.0), still_share=0.05)
"""Shake only: runs are short, and the validation set is shake."""


def make_ablation_recipe(host: SmallHost, prior: PriorConfig | None, *, steps: int, seed: int) -> Recipe:
    """Return the recipe of a small host with its authors' loss; data, optimiser and schedule are equal for all."""
    return Recipe(
        name=f"unblur-study-{host}",
        model=make_small_host(host, prior),
        seed=seed,
        data=TrainingData(camera=SHAKE, repeats=4, repeat_gap=64),
        objective=RestorationTraining(losses=find_host_losses(host)),
        optimization=Optimization(betas=(0.9, 0.99)),
        schedule=Schedule(steps=steps, peak_learning_rate=7e-4, warmup_steps=min(200, steps // 10)),
    )


def make_small_host(host: SmallHost, prior: PriorConfig | None) -> HostConfig:
    """Return the configuration; comments give parameters and GMACs on a patch of 128 px, without the prior."""
    match host:
        case "unet":  # 1.1 million, 1.2
            return UNetConfig(channels=(16, 32, 64, 128), blocks=2, prior=prior)
        case "mimo-unet":  # 0.5 million, 1.3
            return MIMOUNetConfig(width=16, blocks=2, prior=prior)
        case "nafnet":  # 1.9 million, 0.5
            return NAFNetConfig(
                width=32,
                encoder_blocks=(2, 2, 2),
                middle_blocks=2,
                decoder_blocks=(2, 2, 2),
                stem_stride=2,
                prior=prior,
            )
        case "mprnet":  # 0.4 million, 3.1
            return MPRNetConfig(width=16, widening=8, detail_widening=8, detail_blocks=2, prior=prior)
        case "restormer":  # 1.1 million, 1.5
            return RestormerConfig(width=16, blocks=(1, 2, 2, 2), heads=(1, 2, 4, 8), refinement_blocks=1, prior=prior)
    assert_never(host)


def find_host_losses(host: SmallHost) -> tuple[LossTerm, ...]:
    """Return the losses of the full-sized recipe."""
    objective = _make_full_sized_recipe(host).objective
    assert isinstance(objective, RestorationTraining)
    return objective.losses


def _make_full_sized_recipe(host: SmallHost) -> Recipe:
    match host:
        case "unet":
            return unet(with_prior=False)
        case "mimo-unet":
            return mimo_unet(plus=False, with_prior=False)
        case "nafnet":
            return nafnet(with_prior=False)
        case "mprnet":
            return mprnet(with_prior=False)
        case "restormer":
            return restormer(with_prior=False)
    assert_never(host)


def prior_ablation(
    *,
    photos: Path,
    held_out: Path,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    init_prior: Path | None = None,
    hosts: tuple[SmallHost, ...] = ("unet", "mimo-unet", "nafnet"),
    steps: int = 3000,
    seeds: int = 3,
    ablation_seeds: int = 1,
    size: int = 256,
    device: str = "auto",
) -> int:
    """Train small networks with and without the semantic prior, and without its parts, and compare what they gain.

    An interrupted command continues; a finished run is not repeated. The tables are results.csv
    and results.md in the output folder, beside a folder for each run.

    Args:
        init_prior: Checkpoint folder of `unblur train prior`, instead of the bundled one.
        photos: Folder of sharp photographs to train on.
        held_out: Folder of other sharp photographs, for the validation set that is measured on.
        output: Folder that keeps the runs and tables.
        hosts: Networks. The first is trained with every seed, and without each part of the prior as well.
        steps: Updates of every run.
        seeds: How often the first network is trained, each time with other weights and pairs.
        ablation_seeds: How often the first network is trained without each part of the prior; at most --seeds.
        size: Side of the validation set's pictures in pixels.
        device: auto, cpu, cuda, ...
    """
    if steps < 1 or seeds < 1 or not hosts or len(set(hosts)) < len(hosts):
        raise UnblurError("Give at least one step, one seed and one host, and each host once.")
    if not 0 <= ablation_seeds <= seeds:
        raise UnblurError(f"{ablation_seeds} seeds without parts of the prior cannot be; give from 0 to {seeds}.")
    if size < SMALLEST_PX:
        raise UnblurError(f"ST-LPIPS measures nothing of {size} px; give a --size of at least {SMALLEST_PX}.")
    protocol = load_prior_protocol()
    validation = replace(ValidationSet(), size_px=size)
    ablated = open_ablation(output, photos, held_out, init_prior, steps=steps, validation=validation)
    write_undistilled(output, ablated)
    keep_freed_memory()
    pairs = list(simulate_validation_pairs(PhotoFolder(held_out), validation))
    runs = plan_runs(output, ablated, hosts, steps=steps, seeds=seeds, ablation_seeds=ablation_seeds)
    results = []
    for number, run in enumerate(runs, start=1):
        name = f"{number}/{len(runs)} {run.host}, {run.variant.title}, seed {run.recipe.seed}"
        with tqdm(total=steps, unit="step", desc=name, disable=not sys.stderr.isatty()) as bar:

            def on_step(step: int, _measured: dict[str, float], bar: "tqdm[NoReturn]" = bar) -> None:
                bar.update(step - bar.n)

            rows = measure_run(run, photos, pairs, protocol, device=str(choose_device(device)), on_step=on_step)
        result = summarize_run(rows, host=run.host, variant=run.variant.title, seed=run.recipe.seed)
        results.append(result)
        sys.stderr.write(f"{name}: {result.restored.psnr_db:.2f} dB, severe {result.restored_severe.psnr_db:.2f} dB\n")
    summary = f"{results[0].pictures} pictures, of which {results[0].severe_pictures} severe; {steps} steps a run."
    text = f"{summary}\n\n{make_result_table(results, NO_PRIOR).markdown()}"
    write_output(output / "results.csv", make_result_csv(results).encode())
    write_output(output / "results.md", text.encode())
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(run_experiment(prior_ablation))
