"""The speed of restoring on a Ray cluster of this computer, against one process without Ray."""

import pickle
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from unblur.app.cluster.jobs import plan_stored_jobs
from unblur.app.cluster.ray_cluster import LOCAL_CLUSTER, connect_to_ray
from unblur.app.cluster.restore import ClusterWork, RestoringWorker
from unblur.app.cluster.storage import open_storage
from unblur.app.generative_options import GenerativeOptions
from unblur.app.restore_job import JobSettings
from unblur.app.restorer_choice import RestorerChoice
from unblur.errors import UnblurError
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo

EMPTY_ITEMS = 100
"""Items without work, whose time is that of Ray alone."""


@dataclass(frozen=True, kw_only=True)
class ClusterSpeed:
    """Photographs a second by the clock of the wall, once the networks are loaded, and the costs of Ray."""

    one_process: float
    one_worker: float
    all_workers: float
    workers: int
    start_s: float
    """Seconds from the connection to the first result of one worker, which loads the networks meanwhile."""
    item_s: float
    """Seconds of an item without work."""


class _IdleWorker:
    """Worker without work."""

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return row


def measure_cluster_speed(photo: Tensor, count: int) -> ClusterSpeed:
    """Restore `count` copies of the photograph, (3, H, W) in 8 bits, in mode fast: by one process, and by Ray.

    Raises UnblurError if Ray is not installed.
    """
    pixels = photo.permute(1, 2, 0).contiguous().numpy()
    with TemporaryDirectory() as folder, connect_to_ray(LOCAL_CLUSTER) as cluster:
        for number in range(count):
            write_photo(Photo(pixels=pixels), Path(folder) / f"{number}.png")
        items, work = _plan(folder)
        one_process, _ = _time(map(RestoringWorker(work), items))
        speeds, starts = [], []
        for workers in (1, cluster.cores):
            with closing(cluster.map(RestoringWorker, (work,), items, total=count, workers=workers)) as answers:
                speed, start_s = _time(answers)
            speeds.append(speed)
            starts.append(start_s)
        empty = [{"number": number} for number in range(EMPTY_ITEMS)]
        with closing(cluster.map(_IdleWorker, (), empty, total=EMPTY_ITEMS, workers=1)) as answers:
            empty_speed, _ = _time(answers)
    return ClusterSpeed(
        one_process=one_process,
        one_worker=speeds[0],
        all_workers=speeds[1],
        workers=cluster.cores,
        start_s=starts[0],
        item_s=1 / empty_speed,
    )


def _plan(folder: str) -> tuple[list[dict[str, Any]], ClusterWork]:
    output = open_storage(f"{folder}/results")
    jobs = plan_stored_jobs(
        [folder], output, recursive=False, suffix="_unblurred", extension="same", compare=False, uncertainty=False
    )
    choice = RestorerChoice(
        mode="fast", checkpoint=None, device="cpu", shake="off", runtime="torch", generative=GenerativeOptions()
    )
    settings = JobSettings(mode="fast", overwrite=True, leave_sharp=False)
    items = [{"number": number, "job": pickle.dumps(stored)} for number, stored in enumerate(jobs)]
    return items, ClusterWork.choose(choice, settings, output)


def _time(answers: Iterable[dict[str, Any]]) -> tuple[float, float]:
    """Return the answers a second after the first one, and the seconds until that."""
    began_s = time.monotonic()
    times = []
    for answer in answers:
        if answer.get("problem"):
            raise UnblurError(answer["problem"])
        times.append(time.monotonic())
    return (len(times) - 1) / (times[-1] - times[0]), times[0] - began_s
