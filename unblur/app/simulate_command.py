"""`unblur simulate`: pairs of blurry and sharp pictures from sharp photographs, in shards for training.

The work is split by shards, each made by `make_shard`, whether a process of this machine calls it or a Ray cluster.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from unblur.app.cluster.ray_cluster import RayAddress, connect_to_ray, count_cores
from unblur.app.options import Number, OptionalNumber, OutputFolder, Quiet
from unblur.app.report import describe_error
from unblur.errors import UnblurError
from unblur.names import PresetName

if TYPE_CHECKING:
    from unblur.datasets.shards import ShardSettings
    from unblur.datasets.simulated import SimulatedPair


def simulate(
    photos: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="PHOTOS")],
    output: OutputFolder,
    *,
    pairs: Number,
    size: Annotated[int, tyro.conf.arg(metavar="PIXELS")] = 256,
    camera: Annotated[PresetName, tyro.conf.arg(metavar="full|gopro|realblur|rsblur")] = "full",
    seed: Number = 1,
    pairs_per_shard: Number = 256,
    workers: OptionalNumber = None,
    ray: RayAddress = None,
    quiet: Quiet = False,
) -> int:
    """Simulate pairs of blurry and sharp pictures. After an interruption, the same command continues.

    Args:
        photos: Folder of sharp photographs; every process holds all of them in memory.
        output: Folder for pairs-000000.tar and so on, in the layout of WebDataset, and settings.json.
        pairs: Number of pairs to make.
        size: Width and height of the pictures in pixels.
        camera: Kinds of blur: the full range, or an imitation of the data set GoPro, RealBlur or RSBlur.
        seed: The same seed, photographs and settings give the same files.
        pairs_per_shard: Number of pairs in each tar file, and the most that each process loses by an interruption.
        workers: Number of processes; by default one for each core of this computer or of the cluster.
        ray: Distribute the work with Ray, on this computer or on the cluster at an address (`auto`: the cluster that
            this computer belongs to). Every computer needs unblur and access to both folders.
        quiet: Show no progress bar.
    """
    from importlib.metadata import version

    from unblur.blur.presets import find_preset
    from unblur.datasets.shards import ShardSettings, compute_content_table_sha256, describe_photos
    from unblur.datasets.simulated import PatchSampling

    settings = ShardSettings(
        unblur_version=version("unblur"),
        seed=seed,
        pairs=pairs,
        pairs_per_shard=pairs_per_shard,
        sampling=PatchSampling(patch_px=size, pristine_share=0.0),
        camera=find_preset(camera),
        photos=describe_photos(photos),
        content_table_sha256=compute_content_table_sha256(photos),
    )
    # Machines of a cluster share storage, not the folder that the command was typed in.
    job = ShardJob(photos=photos.resolve(), output=output.resolve(), settings=settings)
    make_shards(job, workers=workers, ray=ray, quiet=quiet)
    return 0


def open_simulated_pairs(photos: Path, settings: "ShardSettings") -> "Callable[[int], SimulatedPair]":
    """Return a function from the number of a pair to the simulated pair."""
    from unblur.datasets import PhotoFolder
    from unblur.datasets.simulated import SimulatedPairs

    return SimulatedPairs(PhotoFolder(photos), settings.camera, settings.sampling, settings.seed).__getitem__


@dataclass(frozen=True, kw_only=True)
class ShardJob:
    """The settings of all workers: the shards to make, their contents and their folder."""

    photos: Path
    output: Path
    settings: "ShardSettings"
    source: "Callable[[Path, ShardSettings], Callable[[int], SimulatedPair]]" = open_simulated_pairs
    """Function that opens the pairs; one of a module, because it is pickled by its name."""


def make_shards(job: ShardJob, *, workers: int | None = None, ray: str | None = None, quiet: bool = True) -> None:
    """Make the shards that are missing. Raises UnblurError for the first that cannot be made."""
    from tqdm import tqdm

    from unblur.datasets.shards import begin_shards, find_missing_shards

    if workers is not None and workers < 1:
        raise UnblurError(f"The number of workers must be at least 1, not {workers}.")
    begin_shards(job.output, job.settings)
    shards = find_missing_shards(job.output, job.settings)
    missing = sum(len(_list_indices(job, shard)) for shard in shards)
    total = job.settings.pairs
    with tqdm(total=total, initial=total - missing, unit="pair", disable=quiet or not sys.stderr.isatty()) as bar:
        if not shards:
            return
        done = _run_in_processes(job, shards, workers) if ray is None else _run_on_ray(job, shards, workers, ray)
        with closing(done):
            for shard in done:
                bar.update(len(_list_indices(job, shard)))


def make_shard(job: ShardJob, shard: int) -> int:
    """Make one shard, in any process, and return its number."""
    from unblur.datasets.shard_files import make_shard_path
    from unblur.datasets.shards import write_shard

    write_shard(make_shard_path(job.output, shard), _list_indices(job, shard), _open_pairs(job))
    return shard


@lru_cache(maxsize=1)
def _open_pairs(job: ShardJob) -> "Callable[[int], SimulatedPair]":
    """Return the pairs of a job. They are cached, because a process makes many shards of the same photographs."""
    import torch

    from unblur.datasets.shards import compute_content_table_sha256, describe_photos

    torch.set_num_threads(1)  # The other cores have workers of their own.
    # Another machine may have another folder of that name, and photographs may change during a long run.
    found = describe_photos(job.photos), compute_content_table_sha256(job.photos)
    if found != (job.settings.photos, job.settings.content_table_sha256):
        raise UnblurError(
            f"The photographs in {job.photos} are not those that the run began with; "
            "every worker must see the same folder, unchanged."
        )
    return job.source(job.photos, job.settings)


def _list_indices(job: ShardJob, shard: int) -> range:
    from unblur.datasets.shard_files import compute_shard_indices

    return compute_shard_indices(shard, job.settings.pairs, job.settings.pairs_per_shard)


def _run_in_processes(job: ShardJob, shards: list[int], workers: int | None) -> Generator[int, None, None]:
    """Make the shards in processes of this machine, and yield the number of each when it is done."""
    # Spawned, not forked: libvips and OpenMP have threads, whose locks a fork copies in whatever state they are.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)[::-1]
    count = min(workers or count_cores(), len(shards))
    with ours, theirs, ProcessPoolExecutor(count, context, _start_worker, (theirs,)) as pool:
        try:
            for future in as_completed([pool.submit(make_shard, job, shard) for shard in shards]):
                yield future.result()
        except BrokenProcessPool as error:
            raise UnblurError(
                "A worker process was ended from outside, perhaps for want of memory; run the same command again, "
                "with fewer --workers, which keeps the shards that are whole."
            ) from error
        except BaseException:
            # The remaining shards are not needed: closing the pipe ends the workers.
            ours.close()
            raise


def _start_worker(lifeline: Connection) -> None:
    # Ctrl-C reaches every process of the terminal; the command ends its workers through the pipe instead.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_command, args=(lifeline,), daemon=True).start()


def _end_with_the_command(lifeline: Connection) -> None:
    """End this process when the command ends. Nothing is ever sent: the pipe breaks, however the command ends."""
    with suppress(EOFError, OSError):
        lifeline.recv()
    os._exit(1)


class _RayWorker:
    """Worker in a process of the cluster, which exists until all shards are made."""

    def __init__(self, job: ShardJob) -> None:
        self.job = job

    def __call__(self, row: dict[str, int]) -> dict[str, int | str]:
        # Returned as a value: Ray would wrap an exception in a long traceback, or try the shard again.
        try:
            return {"shard": make_shard(self.job, row["shard"]), "problem": ""}
        except Exception as error:
            return {"shard": row["shard"], "problem": describe_error(error)}


def _run_on_ray(job: ShardJob, shards: list[int], workers: int | None, address: str) -> Generator[int, None, None]:
    """Make the shards by the actors of a Ray cluster, and yield the number of each when it is done."""
    with connect_to_ray(address, workers=workers) as cluster:
        missing = set(shards)
        items = [{"shard": shard} for shard in shards]
        for row in cluster.map(_RayWorker, (job,), items, total=len(items), workers=workers):
            if row["problem"]:
                raise UnblurError(row["problem"])
            missing.discard(row["shard"])
            yield row["shard"]
        if missing:
            raise UnblurError(
                f"The workers of {len(missing)} shards were ended from outside, perhaps for want of memory; run the "
                "same command again, with fewer --workers, which keeps the shards that are whole."
            )
