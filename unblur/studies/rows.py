"""A row of a study's tables: a network trained on some data sets and measured on all of them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from unblur.datasets import Ingredient
from unblur.evaluation.measured_table import measured_table
from unblur.evaluation.method import MethodChoice, open_method
from unblur.evaluation.row import Row
from unblur.evaluation.run import Progress, Run
from unblur.studies.data_sets import StudySet
from unblur.training.loop import train
from unblur.training.recipe import Recipe

Report = Callable[[str, int, int], None]
"""Called while a row is made with what is done, how much of it is done, and of how much."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What the rows of a study share. Runs, and the tables of every image, are kept in `output`."""

    recipe: Recipe
    """Of all rows, but for what they learn from and how long."""
    photos: Path | None
    """Folder of sharp photographs, for what is simulated."""
    output: Path
    device: str = "cpu"
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
"""By the names of the data sets."""


def trained(bench: Bench, name: str, sources: Sequence[Ingredient], steps: int, start_from: Path | None = None) -> Path:
    """The checkpoint of a row: trained on `sources` in equal shares, unless that was done before. Raises UnblurError.

    `start_from` is a checkpoint that it begins with.
    """
    share = 1 / len(sources)
    recipe = replace(
        bench.recipe,
        mixed_in=tuple(replace(source, share=share) for source in sources),
        steps=steps,
        warmup_steps=min(bench.recipe.warmup_steps, steps // 10),
    )
    run = bench.output / "runs" / name
    train(
        recipe,
        bench.photos,
        run,
        start_from=start_from,
        device=bench.device,
        on_step=lambda step, _: bench.report(f"{name}: training", step, steps),
    )
    return run


def measured(bench: Bench, name: str, checkpoint: Path, sets: Sequence[StudySet]) -> dict[str, Cell]:
    """The means of every data set, by its usual protocol; each image's numbers go to tables/NAME-on-SET.csv."""
    method = open_method(MethodChoice(checkpoint=str(checkpoint), device=bench.device))
    cells = {}
    for one in sets:
        pictures = one.measured
        run = Run(
            data_set=pictures.data_set,
            files=pictures.files,
            choice=MethodChoice(checkpoint=str(checkpoint), device=bench.device),
            protocol=pictures.protocol,
        )

        def measure(progress: Progress, what: str = f"{name}: measuring on {one.name}") -> None:
            for _ in progress.rows():
                bench.report(what, len(progress.finished), len(progress.run.files))

        table = bench.output / "tables" / f"{name}-on-{one.name}.csv"
        cells[one.name] = cell_of(measured_table(table, run, method, measure).finished)
    return cells


def cell_of(rows: Sequence[Row]) -> Cell:
    """The means of rows, of which there is one at least; the SSIM is that of their protocol.

    Pictures that were not blurry at all, whose PSNR is infinite, are left out, unless all are such.
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
