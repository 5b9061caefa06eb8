"""`unblur evaluate --ray`: the pictures of a data set, measured by the actors of a Ray cluster."""

import pickle
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from unblur.app.cluster.ray_cluster import MOST_TRIES, RayCluster, connect_to_ray, wants_accelerator
from unblur.app.report import describe_error
from unblur.errors import UnblurError
from unblur.evaluation.chosen_metrics import open_metrics
from unblur.evaluation.measure import NamedFiles, measure_files
from unblur.evaluation.method import MethodSpec, open_method
from unblur.evaluation.row import Conditions, Row
from unblur.evaluation.run import Progress, Run


@contextmanager
def open_rows(progress: Progress, workers: int | None, ray: str | None) -> Iterator[Iterator[Row]]:
    """Yield an iterator that measures the missing rows, in processes of this computer or, with `ray`, of a cluster.

    `ray` is the address of a cluster; None uses none. Raises UnblurError as `connect_to_ray` and the iterator do.
    """
    if ray is None:
        yield progress.rows(workers or 1)
        return
    with connect_to_ray(ray) as cluster:
        yield progress.rows(measure=partial(measure_on_cluster, cluster, workers=workers))


class MeasuringWorker:
    """Worker in a process of the cluster, which opens the method once."""

    def __init__(self, run: Run, conditions: Conditions, threads: int) -> None:
        """Take over the settings; the method is opened for the first picture."""
        torch.set_num_threads(threads)
        self._run = run
        self._conditions = conditions
        self._opened: Callable[[NamedFiles], Row] | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Measure one picture. Errors are the `problem`."""
        try:
            if self._opened is None:
                self._opened = self._open()
            answer, problem = pickle.dumps(self._opened(pickle.loads(row["files"]))), ""
        except Exception as error:
            answer, problem = b"", describe_error(error)
        return {"row": answer, "problem": problem}

    def _open(self) -> Callable[[NamedFiles], Row]:
        run = self._run
        method = open_method(run.choice)
        also = open_metrics(run.metrics, run.protocol).metrics
        return lambda named: measure_files(named, method, run.protocol, self._conditions, run.keep, also)


def measure_on_cluster(
    cluster: RayCluster, run: Run, missing: Sequence[NamedFiles], conditions: Conditions, *, workers: int | None
) -> Generator[Row, None, None]:
    """Measure the missing pictures, and yield each row when it is there. Raises the first UnblurError of a worker."""
    # Networks round differently with another number of threads.
    threads = torch.get_num_threads()
    # The files of all pictures are in the items, one in each.
    arguments = (replace(run, files=()), conditions, threads)
    items = [{"files": pickle.dumps(named)} for named in missing]
    # The device is part of every row, so it is that of this process.
    on_accelerators = wants_accelerator(cluster, conditions.device)
    count = 0
    with closing(
        cluster.map(
            MeasuringWorker,
            arguments,
            items,
            total=len(items),
            workers=workers,
            threads=threads,
            on_accelerators=on_accelerators,
        )
    ) as answers:
        for answer in answers:
            if answer["problem"]:
                raise UnblurError(answer["problem"])
            count += 1
            yield pickle.loads(answer["row"])
    if count < len(missing):
        raise UnblurError(
            f"The processes that measured {len(missing) - count} pictures were ended {MOST_TRIES} times, perhaps for "
            "want of memory; run the same command again with fewer --workers, it goes on where it stopped."
        )


def locate_files(choice: MethodSpec) -> MethodSpec:
    """Return the method with absolute paths of its files, which other computers have, too."""
    return replace(
        choice,
        method=_locate(choice.method),
        checkpoint=None if choice.checkpoint is None else _locate(choice.checkpoint),
        decoder=None if choice.decoder is None else _locate(choice.decoder),
    )


def _locate(name: str) -> str:
    return str(Path(name).absolute()) if Path(name).exists() else name
