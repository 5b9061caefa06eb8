"""Ours among the published: a table for each data set in which every line says whether it was measured or published.

Only metrics that were measured here are shown. A run that no published number may be compared with says why.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from unblur.datasets.catalogue import CATALOGUE, DataSet
from unblur.evaluation.protocol import choose_protocol
from unblur.evaluation.published.numbers import PublishedNumber, Standing
from unblur.evaluation.row import Row
from unblur.evaluation.tables import Table

_LOWER_IS_BETTER = frozenset({"brisque", "ilniqe", "niqe", "pi", "piqe"})
_MEASURED_AS = {"ssim": ("ssim_3d", "ssim")}
"""Columns of a protocol for metrics that tables call by another name."""

_STANDINGS: Mapping[Standing, str] = {
    Standing.OWN: "published",
    Standing.OTHERS: "published by others",
    Standing.SECONDARY: "published, known from quotations only",
    Standing.APPROXIMATE: "published, read from a figure",
    Standing.RECALLED: "recalled, not looked up",
}


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """The published numbers of one data set, and ours."""

    title: str
    table: Table
    footnotes: Table
    """Sources, as [1], and notes, as (1)."""


@dataclass(frozen=True, kw_only=True)
class _Line:
    method: str
    trained_on: str = "-"
    values: Mapping[str, str]
    """The values by metric, as they are printed."""
    standing: str
    source: str = ""
    notes: tuple[str, ...] = ()


def make_published_tables(runs: Iterable[Sequence[Row]], numbers: Sequence[PublishedNumber]) -> list[PublishedTable]:
    """Return one table for each data set with runs and published numbers, sorted by the first metric."""
    by_data_set: dict[str, list[Sequence[Row]]] = {}
    for rows in runs:
        by_data_set.setdefault(rows[0].conditions.data_set, []).append(rows)
    tables = []
    for title, of_one in by_data_set.items():
        name, _, splits = title.partition(" ")
        data_set = next((one for one in CATALOGUE if one.name == name), None)
        if data_set is not None and splits:
            tables += _make_tables(data_set, splits.split(" and "), of_one, numbers)
    return tables


def _make_tables(
    data_set: DataSet, splits: Sequence[str], runs: Sequence[Sequence[Row]], numbers: Sequence[PublishedNumber]
) -> list[PublishedTable]:
    """Return one table, or none where no published number was measured here."""
    of_data_set = [one for one in numbers if one.data_set == data_set.name]
    # Where somebody published of this very split, numbers of another or of an unknown one say nothing.
    exact = [one for one in of_data_set if one.split in splits]
    fitting = exact or [one for one in of_data_set if not one.split]
    measured = [metric for metric in dict.fromkeys(one.metric for one in fitting) if _is_measured(metric, runs)]
    if not measured:
        return []
    published_for = splits if exact else data_set.measured
    lines = [line for rows in runs for line in _make_our_lines(rows, measured, data_set, splits, published_for)]
    # The blurry pictures are the same in all runs.
    lines = list({(line.method, *line.values.items()): line for line in lines}.values())
    lines += _make_published_lines([one for one in fitting if one.metric in measured])
    first = measured[0]
    sign = 1 if first in _LOWER_IS_BETTER else -1
    lines.sort(key=lambda line: (first not in line.values, sign * float(line.values.get(first, "0"))))
    sources = list(dict.fromkeys(line.source for line in lines if line.source))
    notes = list(dict.fromkeys(note for line in lines for note in line.notes))
    marks = {source: f"[{place}]" for place, source in enumerate(sources, start=1)}
    marks |= {note: f"({place})" for place, note in enumerate(notes, start=1)}
    return [
        PublishedTable(
            title=f"Published for {data_set.title}, and measured here, sorted by {first.upper()}",
            table=Table(
                header=("method", "trained on", *(metric.upper() for metric in measured), "numbers", "source", "notes"),
                lines=tuple(_format_cells(line, measured, marks) for line in lines),
            ),
            footnotes=Table(header=("mark", "meaning"), lines=tuple((mark, text) for text, mark in marks.items())),
        )
    ]


def _format_cells(line: _Line, metrics: Sequence[str], marks: Mapping[str, str]) -> tuple[str, ...]:
    values = (line.values.get(metric, "-") for metric in metrics)
    notes = " ".join(sorted((marks[note] for note in line.notes), key=list(marks.values()).index))
    return (line.method, line.trained_on, *values, line.standing, marks.get(line.source, ""), notes)


def _make_published_lines(numbers: Sequence[PublishedNumber]) -> list[_Line]:
    """Return the numbers that one table gives of one method, in a line."""
    together: dict[tuple[str, ...], list[PublishedNumber]] = {}
    for one in numbers:
        key = (one.method, one.trained_on, one.split, one.source, one.found, one.standing)
        together.setdefault(key, []).append(one)
    return [
        _Line(
            method=same[0].method,
            trained_on=same[0].trained_on,
            values={one.metric: f"{one.value}" for one in same},
            standing=_STANDINGS[same[0].standing],
            source=f"{same[0].source}: {same[0].found}",
            notes=tuple(dict.fromkeys(note for one in same for note in one.notes)),
        )
        for same in together.values()
    ]


def _make_our_lines(
    rows: Sequence[Row], metrics: Sequence[str], data_set: DataSet, splits: Sequence[str], published_for: Sequence[str]
) -> list[_Line]:
    """Return the lines of the blurry pictures and of the restored ones."""
    conditions = rows[0].conditions
    reason = _explain_not_comparable(rows, data_set, splits, published_for)
    notes = [reason] if reason else []
    if None in (data_set.expected(split) for split in splits):
        notes.append(f"How many pictures {data_set.title} has is not verified, so our {len(rows)} may be a part of it.")
    lines = []
    for method, when in (
        ("blurry pictures", "before"),
        (f"{conditions.method} {conditions.checkpoint[:12]}".strip(), "after"),
    ):
        values = {metric: value for metric in metrics if (value := _mean(rows, metric, when)) is not None}
        if values:
            lines.append(
                _Line(
                    method=method,
                    values=values,
                    standing="measured here, not comparable" if reason else "measured here",
                    notes=tuple(notes),
                )
            )
    return lines


def _explain_not_comparable(
    rows: Sequence[Row], data_set: DataSet, splits: Sequence[str], published_for: Sequence[str]
) -> str | None:
    """Describe in a sentence why the numbers cannot be compared; None if they can."""
    reasons = []
    sizes = [data_set.expected(split) for split in splits]
    whole = sum(size or 0 for size in sizes)
    if None not in sizes and len(rows) != whole:
        reasons.append(f"{len(rows)} of {whole} pictures")
    if set(splits) != set(published_for):
        reasons.append(f"measured on {' and '.join(splits)}, published for {' and '.join(published_for)}")
    protocol = rows[0].conditions.protocol
    usual = choose_protocol(data_set.name, splits, has_sharp=data_set.ground_truth).title
    if protocol != usual:
        reasons.append(f"protocol {protocol} instead of {usual}")
    return f"Measured here, but not comparable: {'; '.join(reasons)}." if reasons else None


def _is_measured(metric: str, runs: Iterable[Sequence[Row]]) -> bool:
    return any(_find_column(rows[0], metric, "after") for rows in runs)


def _find_column(row: Row, metric: str, when: str) -> str | None:
    names = (f"{name}_{when}{ending}" for name in _MEASURED_AS.get(metric, (metric,)) for ending in ("_db", ""))
    return next((name for name in names if name in row.scores), None)


def _mean(rows: Sequence[Row], metric: str, when: str) -> str | None:
    column = _find_column(rows[0], metric, when)
    if column is None:
        return None
    return f"{fmean(row.scores[column] for row in rows):.{2 if column.endswith('_db') else 4}f}"
