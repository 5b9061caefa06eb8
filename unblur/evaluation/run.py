"""A method measured on all pictures of a data set: by one process or several, stopped and gone on with at will.

Rows are appended to a partial file as they come, whole lines only. What is in it when the same run begins again is not
measured again; a partial file of another run is refused. The rows come out in the order of the pictures, whatever
process was done first, and equal those of an undisturbed run in all but the seconds.
"""

import multiprocessing
import os
import queue
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch

from unblur.errors import UnblurError
from unblur.evaluation.chosen_metrics import MetricChoice, open_metrics
from unblur.evaluation.measure import NamedFiles, fingerprint_pictures, make_conditions, measure_files
from unblur.evaluation.method import Method, MethodSpec, open_method
from unblur.evaluation.peers.outputs import make_output_path
from unblur.evaluation.protocol import Protocol
from unblur.evaluation.row import Conditions, Row, from_csv, make_csv_header, make_csv_line
from unblur.regular_files import read_regular

_POLL_S = 1.0

Measure = Callable[["Run", list[NamedFiles], Conditions], Iterator[Row]]
"""A function that measures pictures of a run, and yields each row when it is there."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A measurement run: the images, the method and the protocol, as another process needs them to take part."""

    data_set: str
    files: tuple[NamedFiles, ...]
    choice: MethodSpec
    protocol: Protocol
    metrics: MetricChoice = MetricChoice()
    """Beside those of the protocol."""
    keep: Path | None = None
    """Folder for the restored pictures."""


class Progress:
    """A run under way: `rows` measures the missing images; `finished` are all rows, in the order of the pictures."""

    def __init__(self, run: Run, method: Method, partial: Path | None = None) -> None:
        """Begin with `method`, which is `run.choice` opened, or for a single process any other.

        Reads what an interrupted run left in `partial`. Raises UnblurError.
        """
        self.run = run
        self._method = method
        also = open_metrics(run.metrics, run.protocol)
        self._also = also.metrics
        self.conditions = make_conditions(
            self._method,
            run.protocol,
            data_set=run.data_set,
            pictures=fingerprint_pictures(run.files),
            metrics=also.summary,
        )
        self._partial = partial
        self._rows: dict[str, Row] = {}
        if partial is not None and partial.exists():
            left_over = self._read_left_over(partial)
            self._rows = {image: row for image, row in left_over.items() if self._is_selected(image)}

    @property
    def finished(self) -> list[Row]:
        """Rows that are measured already."""
        return [self._rows[named.image] for named in self.run.files if named.image in self._rows]

    def accept(self, rows: list[Row]) -> bool:
        """Accept these rows if they are this very run, complete, and return whether they are."""
        if {row.conditions for row in rows} != {self.conditions}:
            return False
        if [row.image for row in rows] != [named.image for named in self.run.files]:
            return False
        if not all(self._is_selected(row.image) for row in rows):
            return False
        self._rows = {row.image: row for row in rows}
        return True

    def rows(self, workers: int = 1, measure: Measure | None = None) -> Iterator[Row]:
        """Measure the missing images, and yield each row when it is there.

        They are measured in `workers` processes of this computer, or by `measure`.
        """
        missing = [named for named in self.run.files if named.image not in self._rows]
        if workers < 1:
            raise UnblurError(f"{workers} workers measure nothing; give at least 1.")
        made: Iterator[Row]
        if measure is not None:
            made = measure(self.run, missing, self.conditions) if missing else iter(())
        elif workers == 1 or len(missing) < 2:
            made = (self._measure(named) for named in missing)
        else:
            made = _measure_in_processes(self.run, missing, self.conditions, min(workers, len(missing)))
        for row in made:
            self._append(row)
            self._rows[row.image] = row
            yield row

    def _measure(self, named: NamedFiles) -> Row:
        return measure_files(named, self._method, self.run.protocol, self.conditions, self.run.keep, self._also)

    def _is_selected(self, image: str) -> bool:
        """Return whether the restored picture exists where it was requested."""
        return self.run.keep is None or make_output_path(self.run.keep, image).is_file()

    def _append(self, row: Row) -> None:
        if self._partial is None:
            return
        # In one write, so that a kill leaves at most one line cut short, which the next run drops.
        begins = not self._partial.is_file()
        with self._partial.open("a", encoding="utf-8", newline="") as file:
            file.write((make_csv_header(row) if begins else "") + make_csv_line(row))

    def _read_left_over(self, partial: Path) -> dict[str, Row]:
        try:
            data = read_regular(partial)
            whole = data[: data.rfind(b"\n") + 1]
            if whole != data:
                # An incomplete line, left by a process that was killed, would corrupt the next one.
                os.truncate(partial, len(whole))
        except OSError as error:
            raise UnblurError(f"{partial} cannot be used: {error.strerror or error}; remove it.") from error
        rows = {row.image: row for row in from_csv(whole.decode("utf-8", "replace"), partial)}
        for row in rows.values():
            if row.conditions != self.conditions:
                raise UnblurError(
                    f"{partial} was begun {_describe_difference(row.conditions, self.conditions)}; "
                    "finish that run first, or delete the file."
                )
        if not rows:
            # Only the header was written, or not even that: begin as if there were no file.
            partial.unlink()
        return rows


def _describe_difference(old: Conditions, new: Conditions) -> str:
    name = next(field.name for field in fields(Conditions) if getattr(old, field.name) != getattr(new, field.name))
    was, now = (str(getattr(conditions, name))[:20] or "none" for conditions in (old, new))
    return f"with another {name.replace('_', ' ')}, {was} and not {now}"


def _measure_in_processes(run: Run, missing: list[NamedFiles], conditions: Conditions, workers: int) -> Iterator[Row]:
    # Spawned, because a forked process must not use CUDA nor the locks of its parent's threads.
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[Row | UnblurError | str] = context.Queue()
    threads = max(1, torch.get_num_threads() // workers)
    processes = [
        context.Process(
            target=_measure_share,
            args=(replace(run, files=tuple(missing[place::workers])), conditions, threads, results),
            daemon=True,
        )
        for place in range(workers)
    ]
    try:
        for process in processes:
            process.start()
        for _ in missing:
            yield _receive_next(results, processes)
    finally:
        for process in processes:
            if process.pid is not None:
                process.terminate()
                process.join()


def _receive_next(
    results: "multiprocessing.Queue[Row | UnblurError | str]", processes: list[multiprocessing.context.SpawnProcess]
) -> Row:
    while True:
        try:
            result = results.get(timeout=_POLL_S)
        except queue.Empty:
            if dead := [process.exitcode for process in processes if process.exitcode]:
                raise UnblurError(
                    f"A worker was ended (exit code {dead[0]}), perhaps because memory was short; run the same command "
                    "again with fewer --workers, it goes on where it stopped."
                ) from None
            continue
        if isinstance(result, UnblurError):
            raise result
        if isinstance(result, str):
            raise RuntimeError(result)
        return result


def _measure_share(
    share: Run, conditions: Conditions, threads: int, results: "multiprocessing.Queue[Row | UnblurError | str]"
) -> None:
    """Measure this process's share of the images, and send each row as soon as it is there."""
    torch.set_num_threads(threads)
    try:
        method = open_method(share.choice)
        also = open_metrics(share.metrics, share.protocol).metrics
        parent = multiprocessing.parent_process()
        for named in share.files:
            if parent is not None and not parent.is_alive():
                # It was killed and could not end us: nobody waits for the rest.
                return
            results.put(measure_files(named, method, share.protocol, conditions, share.keep, also))
    except UnblurError as error:
        results.put(error)
    except Exception:
        # The error itself may be of a kind that cannot be sent.
        results.put(traceback.format_exc())
