"""A table of measurements in a file: an interrupted measurement continues, and finished rows are not measured again."""

from collections.abc import Callable
from pathlib import Path

from unblur.atomic import write_atomically
from unblur.errors import UnblurError
from unblur.evaluation.method import Method
from unblur.evaluation.row import Row, from_csv, read_rows, to_csv
from unblur.evaluation.run import Progress, Run


def measure_table(
    table: Path,
    run: Run,
    method: Method,
    measure: Callable[[Progress], object],
    notify: Callable[[str], object] = lambda _: None,
) -> Progress:
    """Measure the images of `run` that `table` and its partial file lack, and write `table`.

    `measure` takes rows from the progress until there are no more; `notify` is called with a message about existing
    rows. Raises UnblurError.
    """
    partial = table.with_name(f"{table.name}.partial")
    try:
        table.parent.mkdir(parents=True, exist_ok=True)
        progress = Progress(run, method, partial)
        if not partial.is_file() and table.is_file() and progress.accept(_parse_rows(table)):
            notify(f"{table} has these measurements; delete it to measure again.")
            return progress
        if progress.finished:
            notify(f"{partial} has {len(progress.finished)} of {len(run.files)} images; going on.")
        measure(progress)
        # Read back what was written line by line: a table is the same whether or not the run was interrupted.
        text = to_csv(progress.finished)
        progress.accept(from_csv(text, table))
        write_atomically(table, text.encode())
        partial.unlink(missing_ok=True)
    except OSError as error:
        raise UnblurError(f"{table} cannot be written: {error.strerror or error}; choose another folder.") from error
    return progress


def _parse_rows(table: Path) -> list[Row]:
    """Return the rows of a table of this program; none for another file or another version."""
    try:
        return read_rows(table)
    except UnblurError:
        return []
