"""Comparison of restorations of one set by PSNR, ST-LPIPS and NIQE, over all its images and over the severe half.

The severe half are the images whose blurry photograph has the lowest PSNR. PSNR measures the distance from the truth,
ST-LPIPS the perceived distance, and NIQE whether the result looks like a photograph at all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from statistics import fmean

from experiments.harness import Report
from experiments.measuring import find_score, measure_rows
from unblur.evaluation.chosen_metrics import MetricChoice
from unblur.evaluation.measured_pictures import MeasuredPictures
from unblur.evaluation.method import MethodSpec, open_method
from unblur.evaluation.row import Row
from unblur.evaluation.tables import Table

METRICS = MetricChoice(names=("st-lpips", "niqe"))


@dataclass(frozen=True, kw_only=True)
class Means:
    """Means over the images for which a metric is finite in every restoration."""

    psnr_db: float
    st_lpips: float
    niqe: float


@dataclass(frozen=True, kw_only=True)
class ResultLine:
    """Means of one restoration of a set, or of the blurry photographs."""

    title: str
    whole: Means
    severe: Means
    weights: str
    """SHA-256 of the weights."""


def measure_method(pictures: MeasuredPictures, choice: MethodSpec, folder: Path, report: Report) -> list[Row]:
    """Measure one restoration and store its rows in `folder`, or read the stored ones. Raises UnblurError."""
    method = open_method(choice)
    table = folder / f"{pictures.data_set}-{method.name}.csv"
    return measure_rows(pictures.data_set, pictures, choice, method, table, METRICS, report)


def summarize(restored: Mapping[str, Sequence[Row]]) -> list[ResultLine]:
    """Summarize the blurry photographs, then each of `restored`: rows of the same images by restoration."""
    first = next(iter(restored.values()))
    before = sorted(first, key=lambda row: row.scores["psnr_before_db"])
    severe = {row.image for row in before[: (len(before) + 1) // 2]}
    measurable = {name: _find_finite(restored.values(), name) for name in ("psnr", "st_lpips", "niqe")}

    def means(rows: Sequence[Row], when: str, images: set[str]) -> Means:
        def mean(name: str) -> float:
            measured = images & measurable[name]
            return fmean([find_score(row, name, when) for row in rows if row.image in measured] or [float("nan")])

        return Means(psnr_db=mean("psnr"), st_lpips=mean("st_lpips"), niqe=mean("niqe"))

    every = {row.image for row in first}

    def line(title: str, rows: Sequence[Row], when: str, weights: str) -> ResultLine:
        return ResultLine(
            title=title, whole=means(rows, when, every), severe=means(rows, when, severe), weights=weights
        )

    found = [line(title, rows, "after", rows[0].conditions.checkpoint) for title, rows in restored.items()]
    return [line("blurry", first, "before", ""), *found]


def make_summary_table(lines: Sequence[ResultLine]) -> Table:
    """Make the table of one set."""
    header = ("", "PSNR", "ST-LPIPS", "NIQE", "severe half: PSNR", "ST-LPIPS", "NIQE")
    return Table(
        header=header,
        lines=tuple((line.title, *_format_cells(line.whole), *_format_cells(line.severe)) for line in lines),
    )


def make_summary_text(pictures: MeasuredPictures, lines: Sequence[ResultLine]) -> str:
    """Make the table of one set under its title, in Markdown."""
    return f"{pictures.title}, {len(pictures.files)} pictures\n\n{make_summary_table(lines).markdown()}"


def make_summary_csv(sets: Mapping[str, Sequence[ResultLine]]) -> str:
    """Make a CSV of all sets, with the weights."""
    names = ("psnr_db", "st_lpips", "niqe")
    header = ("set", "restoration", *names, *(f"{name}_severe" for name in names), "weights")
    lines = tuple(
        (
            name,
            line.title,
            *(f"{getattr(part, one):.5f}" for part in (line.whole, line.severe) for one in names),
            line.weights,
        )
        for name, of_set in sets.items()
        for line in of_set
    )
    return Table(header=header, lines=lines).csv()


def _find_finite(runs: Iterable[Sequence[Row]], name: str) -> set[str]:
    """Return images with finite scores: flat ones have no NIQE, those that equal the truth no finite PSNR."""
    images = [
        {row.image for row in rows if all(isfinite(find_score(row, name, when)) for when in ("before", "after"))}
        for rows in runs
    ]
    return set.intersection(*images)


def _format_cells(means: Means) -> tuple[str, ...]:
    return f"{means.psnr_db:.2f}", f"{means.st_lpips:.4f}", f"{means.niqe:.2f}"
