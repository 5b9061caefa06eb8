"""Work on a Ray cluster: the option `--ray`, the connection, and the distribution of items to actors by Ray Data.

Ray Data streams the items: it gives an actor its next item when the previous one is finished, and starts an actor that
ended again. Everything large is read and written by the actors, so neither this process nor Ray's memory holds it.
"""

import importlib
import logging
import os
import socket
import warnings
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from unblur.errors import UnblurError

LOCAL_CLUSTER = "local"
"""The address that stands for a Ray cluster of this machine alone, which ends with the command."""

OBJECT_STORE_BYTES = 128 * 2**20
"""Memory that a cluster of this machine shares between its processes, which exchange only names and numbers."""

ANSWER_S = 10.0
"""Seconds within which a cluster has to answer."""

MOST_TRIES = 3
"""Number of times that an item is begun if its actor is ended from outside, for example for want of memory."""

ITEMS_PER_WAVE = 1000
"""Items for each actor that are given to Ray at a time. Ray needs some kilobytes for each item until its wave ends, and
some seconds to start the actors of the next."""


def _parse_address(words: list[str]) -> str:
    if len(words) > 1:
        raise ValueError("--ray takes one address or none")
    return words[0] if words else LOCAL_CLUSTER


_OPTIONAL_ADDRESS: PrimitiveConstructorSpec[str] = PrimitiveConstructorSpec(
    nargs="*",
    metavar="[ADDRESS]",
    instance_from_str=_parse_address,
    is_instance=lambda value: isinstance(value, str),
    str_from_instance=lambda value: [value],
)

RayAddress = Annotated[str | None, _OPTIONAL_ADDRESS, tyro.conf.arg(help_behavior_hint="")]
"""The option `--ray [ADDRESS]`: None without it, LOCAL_CLUSTER without an address."""


def count_cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class RayCluster:
    """A connected cluster."""

    ray: Any
    data: Any
    cores: int
    most_cores: int
    """Number of cores of its largest computer."""
    accelerators: int
    """Number of graphics cards of the cluster."""

    def map(
        self,
        worker: type,
        arguments: tuple[Any, ...],
        items: Iterable[dict[str, Any]],
        *,
        total: int,
        workers: int | None = None,
        threads: int = 1,
        on_accelerators: bool = False,
    ) -> Generator[dict[str, Any], None, None]:
        """Give each item to one of the actors, and yield their results in the order in which they are finished.

        Args:
            worker: Class of the actors: it is made with `arguments`, and called with an item, a dictionary of numbers,
                texts and bytes, of which it returns another. It returns errors as values: Ray would wrap an exception
                in a long traceback.
            arguments: Arguments of the class, which are pickled.
            items: The items, which are taken when their wave begins. One whose actor is ended MOST_TRIES times has no
                result.
            total: Number of items.
            workers: Number of actors; by default as many as the cores of the cluster allow, or its graphics cards.
            threads: Number of threads, and therefore cores, that each actor uses.
            on_accelerators: True if each actor has a graphics card of its own.
        """
        cores = 1 if on_accelerators else min(threads, self.most_cores)
        room = self.accelerators if on_accelerators else self.cores // cores
        count = max(1, min(workers or room, room, total))
        remaining = iter(items)
        while wave := list(islice(remaining, count * ITEMS_PER_WAVE)):
            # A block, which Ray repeats as a whole, is one item.
            rows = self.data.from_items(wave, override_num_blocks=len(wave))
            with warnings.catch_warnings():
                # Ray has no other way to limit the tries yet; pyproject.toml excludes the version without this one.
                warnings.filterwarnings("ignore", message=".*ray_remote_args.* is deprecated")
                answers = rows.map(
                    worker,
                    fn_constructor_args=arguments,
                    # An actor that ends takes no item with it but the one in its hands.
                    compute=self.data.ActorPoolStrategy(size=min(count, len(wave)), max_tasks_in_flight_per_actor=1),
                    num_cpus=cores,
                    num_gpus=1 if on_accelerators else 0,
                    max_task_retries=MOST_TRIES - 1,
                )
            yield from answers.iter_rows()


def wants_accelerator(cluster: RayCluster, device: str) -> bool:
    """Return whether actors that compute on `device` need a graphics card. Raises UnblurError if there is none."""
    if device == "cuda" and not cluster.accelerators:
        raise UnblurError(
            "The Ray cluster has no graphics card for --device cuda; use --device cpu, or another cluster."
        )
    return device == "cuda" or (device == "auto" and cluster.accelerators > 0)


@contextmanager
def connect_to_ray(address: str, *, workers: int | None = None) -> Iterator[RayCluster]:
    """Start a cluster of this machine for `workers` actors, or connect to the one at `address`, until the context ends.

    Raises UnblurError if Ray is not installed or the cluster cannot be reached.
    """
    ray, data = import_ray()
    _refuse_silent_address(address)
    local = {
        "num_cpus": workers or count_cores(),
        "object_store_memory": OBJECT_STORE_BYTES,
        "include_dashboard": False,
    }
    try:
        _join_cluster(ray, address, local if address == LOCAL_CLUSTER else {})
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = -1
        found = ray.cluster_resources()
        yield RayCluster(
            ray,
            data,
            cores=max(1, int(found.get("CPU", 1))),
            most_cores=max(1, *(int(node["Resources"].get("CPU", 1)) for node in ray.nodes() if node["Alive"])),
            accelerators=int(found.get("GPU", 0)),
        )
    finally:
        ray.shutdown()


def import_ray() -> tuple[Any, Any]:
    """Import Ray and its library Data. Raises UnblurError, which names the extra, if they are not installed."""
    # Ray sends usage statistics unless this is set, and writes notes for its developers to stderr.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        ray: Any = importlib.import_module("ray")
        data: Any = importlib.import_module("ray.data")
    except ImportError as error:
        raise UnblurError(f"--ray needs Ray ({error}); install it by: pip install 'unblur[cluster]'.") from error
    # Ended actors are reported in sentences of ours.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    return ray, data


def _refuse_silent_address(address: str) -> None:
    """Raise UnblurError if nothing answers at the host and the port, for which Ray would wait for minutes."""
    host, separator, port = address.rpartition(":")
    if not separator or "/" in host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise UnblurError(
            f"The Ray cluster {address} cannot be reached ({error}); check the address, and start the cluster."
        ) from error


def _join_cluster(ray: Any, address: str, settings: dict[str, Any]) -> None:
    """Start a cluster of this machine, or connect to the one at `address`. Raises UnblurError if there is none."""
    # Ray gives its processes half a minute to start, which a busy machine may need more than once.
    for tries_left in (2, 1, 0):
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **settings)
            return
        except Exception as error:  # Ray raises that class itself when a machine is slow to start.
            ray.shutdown()
            if address == LOCAL_CLUSTER and tries_left:
                continue
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            raise UnblurError(f"The Ray cluster {address} cannot be reached ({reason}); try again.") from error
