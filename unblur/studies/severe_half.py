"""Restorations of a set side by side, over all its pictures and over its severe half.

The severe half are the pictures whose blurry photograph has the least PSNR. PSNR asks how near the truth is, ST-LPIPS
how alike it looks, NIQE whether it looks like a photograph at all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from statistics import fmean

from unblur.evaluation.chosen_metrics import MetricChoice
from unblur.evaluation.measured_pictures import MeasuredPictures
from unblur.evaluation.method import MethodChoice, open_method
from unblur.evaluation.row import Row
from unblur.evaluation.tables import Table
from unblur.studies.measuring import measured_rows, score
from unblur.studies.rows import Report

METRICS = MetricChoice(names=("st-lpips", "niqe"))


@dataclass(frozen=True, kw_only=True)
class Means:
    """Over the pictures that a measure can measure in all restorations alike."""

    psnr_db: float
    st_lpips: float
    niqe: float


@dataclass(frozen=True, kw_only=True)
class Line:
    """A restoration of a set, or the blurry photographs themselves."""

    title: str
    whole: Means
    severe: Means
    weights: str
    """SHA-256 of them."""


def rows_of(pictures: MeasuredPictures, choice: MethodChoice, folder: Path, report: Report) -> list[Row]:
    """The measurements of one restoration, kept in `folder`. Raises UnblurError."""
    method = open_method(choice)
    table = folder / f"{pictures.data_set}-{method.name}.csv"
    return measured_rows(pictures.data_set, pictures, choice, method, table, METRICS, report)


def lines_of(restored: Mapping[str, Sequence[Row]]) -> list[Line]:
    """The blurry photographs, then each of `restored`, rows of the same pictures by what restored them."""
    first = next(iter(restored.values()))
    before = sorted(first, key=lambda row: row.scores["psnr_before_db"])
    severe = {row.image for row in before[: (len(before) + 1) // 2]}
    measurable = {name: _finite(restored.values(), name) for name in ("psnr", "st_lpips", "niqe")}

    def means(rows: Sequence[Row], when: str, images: set[str]) -> Means:
        def mean(name: str) -> float:
            kept = images & measurable[name]
            return fmean([score(row, name, when) for row in rows if row.image in kept] or [float("nan")])

        return Means(psnr_db=mean("psnr"), st_lpips=mean("st_lpips"), niqe=mean("niqe"))

    every = {row.image for row in first}

    def line(title: str, rows: Sequence[Row], when: str, weights: str) -> Line:
        return Line(title=title, whole=means(rows, when, every), severe=means(rows, when, severe), weights=weights)

    found = [line(title, rows, "after", rows[0].conditions.checkpoint) for title, rows in restored.items()]
    return [line("blurry", first, "before", ""), *found]


def lines_table(lines: Sequence[Line]) -> Table:
    """For people."""
    header = ("", "PSNR", "ST-LPIPS", "NIQE", "severe half: PSNR", "ST-LPIPS", "NIQE")
    return Table(header=header, lines=tuple((line.title, *_cells(line.whole), *_cells(line.severe)) for line in lines))


def lines_text(pictures: MeasuredPictures, lines: Sequence[Line]) -> str:
    """The table of one set under its title, in Markdown."""
    return f"{pictures.title}, {len(pictures.files)} pictures\n\n{lines_table(lines).markdown()}"


def lines_csv(sets: Mapping[str, Sequence[Line]]) -> str:
    """All sets, with the weights."""
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


def _finite(runs: Iterable[Sequence[Row]], name: str) -> set[str]:
    """Pictures whose every measurement is a number: flat ones have no NIQE, those that equal the truth no PSNR."""
    images = [
        {row.image for row in rows if all(isfinite(score(row, name, when)) for when in ("before", "after"))}
        for rows in runs
    ]
    return set.intersection(*images)


def _cells(means: Means) -> tuple[str, ...]:
    return f"{means.psnr_db:.2f}", f"{means.st_lpips:.4f}", f"{means.niqe:.2f}"
