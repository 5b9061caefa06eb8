"""Batches made ahead of time by threads, in order.

Threads, not processes: simulation spends its time in native code that lets other threads run, the photographs
are held once, and nothing that a library keeps per process (libvips, OpenMP) breaks in a fork.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")

PREFETCH_PER_WORKER = 3


def prefetch(make: Callable[[int], T], indices: range, workers: int) -> Iterator[T]:
    """Yield `make(i)` for every i of `indices` in order, made ahead by `workers` threads; 0 makes each on demand."""
    if workers == 0:
        yield from map(make, indices)
        return
    # One thread each (the setting is per thread): the cores are for the training step.
    with ThreadPoolExecutor(workers, "simulate", initializer=lambda: torch.set_num_threads(1)) as pool:
        ahead: deque[Future[T]] = deque()
        try:
            for index in indices:
                ahead.append(pool.submit(make, index))
                if len(ahead) > workers * PREFETCH_PER_WORKER:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
