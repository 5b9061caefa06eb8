"""Pictures measured for a study: kept in a table, so that a study given again goes on where it was."""

from pathlib import Path

from unblur.evaluation.chosen_metrics import MetricChoice
from unblur.evaluation.measured_pictures import MeasuredPictures
from unblur.evaluation.measured_table import measured_table
from unblur.evaluation.method import Method, MethodChoice
from unblur.evaluation.row import Row
from unblur.evaluation.run import Progress, Run
from unblur.studies.rows import Report


def measured_rows(
    name: str,
    pictures: MeasuredPictures,
    choice: MethodChoice,
    method: Method,
    table: Path,
    metrics: MetricChoice,
    report: Report,
) -> list[Row]:
    """One row a picture of the set `name`, restored by `method`, which is `choice` opened. Raises UnblurError."""
    run = Run(data_set=name, files=pictures.files, choice=choice, protocol=pictures.protocol, metrics=metrics)

    def measure(progress: Progress) -> None:
        for _ in progress.rows():
            report(f"{method.name} on {name}", len(progress.finished), len(run.files))

    return measured_table(table, run, method, measure).finished


def score(row: Row, name: str, when: str) -> float:
    """What `row` says of the measure `name`, psnr or another, before or after."""
    return row.scores[f"psnr_{when}_db" if name == "psnr" else f"{name}_{when}"]
