"""Measuring images for an experiment, with the rows stored in a table, so that an interrupted experiment continues."""

from pathlib import Path

from experiments.harness import Report
from unblur.evaluation.chosen_metrics import MetricChoice
from unblur.evaluation.measured_pictures import MeasuredPictures
from unblur.evaluation.measured_table import measure_table
from unblur.evaluation.method import Method, MethodSpec
from unblur.evaluation.row import Row
from unblur.evaluation.run import Progress, Run


def measure_rows(
    name: str,
    pictures: MeasuredPictures,
    choice: MethodSpec,
    method: Method,
    table: Path,
    metrics: MetricChoice,
    report: Report,
) -> list[Row]:
    """Measure one row per image of the set `name`, restored by `method`, which opens `choice`. Raises UnblurError."""
    run = Run(data_set=name, files=pictures.files, choice=choice, protocol=pictures.protocol, metrics=metrics)

    def measure(progress: Progress) -> None:
        for _ in progress.rows():
            report(f"{method.name} on {name}", len(progress.finished), len(run.files))

    return measure_table(table, run, method, measure).finished


def find_score(row: Row, name: str, when: str) -> float:
    """Return the score of a row for the metric `name`, "before" or "after"."""
    return row.scores[f"psnr_{when}_db" if name == "psnr" else f"{name}_{when}"]
