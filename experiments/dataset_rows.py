"""One row of a data-set table: a network trained on some data sets and measured on all of them.

`cross_dataset` and `blur_pretraining` share these rows and their options.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Annotated, Literal, assert_never

import tyro

from experiments.data_sets import BenchmarkSet, open_benchmark_sets
from experiments.harness import Report
from unblur.app.cluster.evaluate import open_rows
from unblur.app.cluster.ray_cluster import RayAddress
from unblur.datasets import DataSource
from unblur.datasets.simulated import PatchSampling
from unblur.errors import UnblurError
from unblur.evaluation.measured_table import measure_table
from unblur.evaluation.method import MethodSpec, open_method
from unblur.evaluation.row import Row
from unblur.evaluation.run import Progress, Run
from unblur.models import NAFNetConfig, RestormerConfig
from unblur.recipes import find_recipe
from unblur.restoration.device import choose_device
from unblur.training.allocator import keep_freed_memory
from unblur.training.initialization import InitFrom
from unblur.training.loop import train
from unblur.training.recipe import Optimization, Recipe, Schedule, TrainingData

NetworkName = Literal["small", "bundled", "restormer"]
"""`small` only shows that training has an effect, `bundled` has the shape of the bundled network, and `restormer` is
what the GLOWDeblur paper (arXiv 2601.06525) analyses data sets with."""


@dataclass(frozen=True, kw_only=True)
class RowOptions:
    """Command-line options of every experiment that trains rows."""

    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder for the table, the networks (runs/), every image's numbers (tables/) and simulated pairs (sets/)."""
    photos: Path | None = None
    """Folder of sharp photographs to train on, for simulated data sets."""
    held_out: Path | None = None
    """Folder of other sharp photographs, to test simulated sets on."""
    network: NetworkName = "small"
    """Network to train: small, bundled (the bundled network's shape), restormer (the paper's)."""
    steps: int = 20_000
    """Number of updates of every row; after a pretraining, of the fine-tuning."""
    patch: int = 128
    """Side of the training patches in pixels."""
    batch: int = 8
    """Patches of each update."""
    seed: int = 1
    """Random seed of the initial weights and of all patches."""
    test_pairs: int | None = None
    """Number of pairs of each set to test on, instead of all (of simulated sets 60)."""
    size: int = 256
    """Side of the simulated test pictures in pixels."""
    device: str = "auto"
    """auto, cpu, cuda, ..."""
    ray: RayAddress = None
    """Measure with Ray, on this computer or on the cluster at an address."""


def make_row_recipe(network: NetworkName, *, steps: int, patch_px: int, batch: int, seed: int) -> Recipe:
    """Return the recipe of every row, but for its data: `steps` updates of `network` on `batch` patches each."""
    sampling = PatchSampling(patch_px=patch_px, pristine_share=0.0)
    match network:
        case "small":
            return Recipe(
                name="unblur-study-small",
                model=NAFNetConfig(
                    width=16, encoder_blocks=(1, 1, 1), middle_blocks=1, decoder_blocks=(1, 1, 1), stem_stride=2
                ),
                seed=seed,
                data=TrainingData(sampling=sampling, repeats=4),
                optimization=Optimization(ema_decay=0.99),
                schedule=Schedule(
                    steps=steps, batch=batch, peak_learning_rate=2e-3, warmup_steps=min(100, steps // 10)
                ),
            )
        case "bundled":
            return Recipe(
                name="unblur-study-bundled",
                model=find_recipe("faithful").model,
                seed=seed,
                data=TrainingData(sampling=sampling, repeats=4),
                schedule=Schedule(steps=steps, batch=batch, warmup_steps=min(200, steps // 10)),
            )
        case "restormer":
            # Step size and momenta of Restormer's authors (arXiv 2111.09881); the loss is ours.
            return Recipe(
                name="unblur-study-restormer",
                model=RestormerConfig(),
                seed=seed,
                data=TrainingData(sampling=sampling, repeats=4),
                optimization=Optimization(weight_decay=1e-4, betas=(0.9, 0.999)),
                schedule=Schedule(
                    steps=steps, batch=batch, peak_learning_rate=3e-4, warmup_steps=min(200, steps // 10)
                ),
            )
    assert_never(network)


@dataclass(frozen=True, kw_only=True)
class RowContext:
    """The settings that all rows of a table share. Runs, and the tables of every image, are stored in `output`."""

    recipe: Recipe
    """The recipe of all rows, but for their data and number of steps."""
    photos: Path | None
    """Folder of sharp photographs, for simulated data sets."""
    output: Path
    device: str = "cpu"
    ray: str | None = None
    """Address of the Ray cluster that measures; None measures in this process."""
    report: Report = lambda _what, _done, _of: None


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Means over the images of one data set, restored by one network."""

    images: int
    psnr_before_db: float
    psnr_after_db: float
    ssim_before: float
    ssim_after: float


Cells = Mapping[str, Cell]
"""Cells keyed by the names of the data sets."""


def open_context(options: RowOptions, report: Report) -> RowContext:
    """Return the context that the options describe. Raises UnblurError for invalid options."""
    if min(options.steps, options.patch, options.batch) < 1:
        raise UnblurError("--steps, --patch and --batch must be at least 1.")
    keep_freed_memory()
    recipe = make_row_recipe(
        options.network, steps=options.steps, patch_px=options.patch, batch=options.batch, seed=options.seed
    )
    device = str(choose_device(options.device))
    return RowContext(
        recipe=recipe, photos=options.photos, output=options.output, device=device, ray=options.ray, report=report
    )


def open_sets(sets: list[str], options: RowOptions) -> list[BenchmarkSet]:
    """Open the named data sets, see `open_benchmark_sets`; simulated ones are written to sets/ in the output."""
    return open_benchmark_sets(
        sets,
        held_out=options.held_out,
        written_to=options.output / "sets",
        pairs=options.test_pairs,
        size_px=options.size,
    )


def train_row(
    context: RowContext, name: str, sources: Sequence[DataSource], steps: int, init: Path | None = None
) -> Path:
    """Train a row on `sources` in equal shares, unless that was done before, and return its checkpoint folder.

    `init` is a checkpoint to initialise from. Raises UnblurError.
    """
    share = 1 / len(sources)
    recipe = replace(
        context.recipe,
        data=replace(context.recipe.data, extra_sources=tuple(replace(source, share=share) for source in sources)),
        schedule=replace(
            context.recipe.schedule, steps=steps, warmup_steps=min(context.recipe.schedule.warmup_steps, steps // 10)
        ),
    )
    run = context.output / "runs" / name
    train(
        recipe,
        context.photos,
        run,
        init=InitFrom(checkpoint=init),
        device=context.device,
        on_step=lambda step, _: context.report(f"{name}: training", step, steps),
    )
    return run


def measure_row(context: RowContext, name: str, checkpoint: Path, sets: Sequence[BenchmarkSet]) -> dict[str, Cell]:
    """Measure a row on every data set by its usual protocol; each image's numbers go to tables/NAME-on-SET.csv."""
    method = open_method(MethodSpec(checkpoint=str(checkpoint), device=context.device))
    cells = {}
    for one in sets:
        pictures = one.measured
        run = Run(
            data_set=pictures.data_set,
            files=pictures.files,
            choice=MethodSpec(checkpoint=str(checkpoint), device=context.device),
            protocol=pictures.protocol,
        )

        def measure(progress: Progress, what: str = f"{name}: measuring on {one.name}") -> None:
            with open_rows(progress, None, context.ray) as rows:
                for _ in rows:
                    context.report(what, len(progress.finished), len(progress.run.files))

        table = context.output / "tables" / f"{name}-on-{one.name}.csv"
        cells[one.name] = average_cells(measure_table(table, run, method, measure).finished)
    return cells


def average_cells(rows: Sequence[Row]) -> Cell:
    """Average at least one row; the SSIM is that of their protocol.

    Images that were not blurry at all, whose PSNR is infinite, are left out, unless all are like that.
    """
    ssim = "ssim" if "ssim_after" in rows[0].scores else "ssim_3d"
    blurry = [row for row in rows if math.isfinite(row.scores["psnr_before_db"])] or rows

    def mean(column: str) -> float:
        return fmean(row.scores[column] for row in blurry)

    return Cell(
        images=len(blurry),
        psnr_before_db=mean("psnr_before_db"),
        psnr_after_db=mean("psnr_after_db"),
        ssim_before=mean(f"{ssim}_before"),
        ssim_after=mean(f"{ssim}_after"),
    )
