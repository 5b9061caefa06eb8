"""The queue of the service: who is admitted, the stages of a request in threads, and its end before its time.

One network restores one photograph at a time, in the order in which they arrived; meanwhile the next one is decoded
and the previous one encoded. Photographs are never joined into one batch of the network: its results would depend on
the others in the batch (docs/guide/serve.md).
"""

import asyncio
import contextlib
import math
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from unblur.errors import MemoryShortageError, TooManyPixelsError, UnblurError
from unblur.service.engine import Engine, RestoredFile
from unblur.service.limits import Limits
from unblur.service.metrics import Metrics
from unblur.service.options import Format, Options
from unblur.service.refusals import ClientGoneError, Refusal

WORKER_NAME = "unblur worker"
UNMEASURED_S = 5
"""Seconds of Retry-After before anything was measured."""
TICK_S = 0.02

Value = TypeVar("Value")


class _AbandonedError(BaseException):
    """Ends the work on a request in its thread; nothing between treats it as a failure of the photograph."""


class Admission:
    """One request that was admitted, with its deadline."""

    def __init__(self, time_s: float) -> None:
        self._deadline = time.monotonic() + time_s
        self._time_s = time_s
        self._abandoned = threading.Event()
        self._ended: asyncio.Future[Refusal] = asyncio.get_running_loop().create_future()

    def check(self, _share: float = 0.0) -> None:
        """Raise an exception in a thread whose work nobody waits for any more; a progress callback."""
        if self._abandoned.is_set():
            raise _AbandonedError

    def end(self, refusal: Refusal) -> None:
        """End the request with a refusal before its time."""
        if not self._ended.done():
            self._ended.set_result(refusal)

    async def limit(self, work: Awaitable[Value], gone: Awaitable[None] | None = None) -> Value:
        """Return the result of `work`, unless the time is over or the client is `gone` before; then stop the work.

        Raises Refusal and ClientGoneError for these, and what `work` raises.
        """
        task = asyncio.ensure_future(work)
        waiting: set[asyncio.Future[object]] = {task, self._ended}  # type: ignore[arg-type]
        watch = None if gone is None else asyncio.ensure_future(gone)
        if watch is not None:
            waiting.add(watch)  # type: ignore[arg-type]
        try:
            left_s = max(0.0, self._deadline - time.monotonic())
            await asyncio.wait(waiting, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if self._ended.done():
                raise self._ended.result()
            if watch is not None and watch.done():
                raise ClientGoneError
            raise Refusal(
                503, f"The time of {self._time_s:g} s for a request was over; send a smaller photograph, or try later."
            )
        finally:
            if not task.done():
                self._abandoned.set()
            for one in (task, watch):
                if one is not None and not one.done():
                    one.cancel()
                    with contextlib.suppress(asyncio.CancelledError, Exception):
                        await one


class RestoringQueue:
    """The queue in front of one engine. All methods run in one event loop, except `load` and `close`."""

    def __init__(self, engine: Engine, limits: Limits, metrics: Metrics, *, jobs: int) -> None:
        """Take over the engine. Of the photographs, `jobs` are in memory at a time."""
        self.engine = engine
        self.is_loaded = False
        self.is_draining = False
        self._limits = limits
        self._metrics = metrics
        self._admitted: set[Admission] = set()
        self._clients: Counter[str] = Counter()
        self._is_restoring = False
        self._in_memory = asyncio.Semaphore(jobs)
        self._network = ThreadPoolExecutor(1, thread_name_prefix=WORKER_NAME)
        self._helpers = ThreadPoolExecutor(jobs, thread_name_prefix=WORKER_NAME)

    @property
    def is_ready(self) -> bool:
        """Whether requests are admitted if there is room."""
        return self.is_loaded and not self.is_draining

    @property
    def in_flight(self) -> int:
        """Number of requests that were admitted and have no answer yet."""
        return len(self._admitted)

    @property
    def waiting(self) -> int:
        """Number of these that the network does not restore at this moment."""
        return max(0, self.in_flight - self._is_restoring)

    def estimate_wait_s(self) -> int:
        """Return the seconds in which the admitted requests are worked off, by the measured time of a request."""
        each = self._metrics.seconds_per_request
        return UNMEASURED_S if each is None else max(1, math.ceil(each * len(self._admitted)))

    @asynccontextmanager
    async def admit(self, client: str) -> AsyncIterator[Admission]:
        """Admit a request of a client inside this context. Raises Refusal if there is no room, or no work is accepted.

        Bodies are read after that, so the memory for uploads is limited too.
        """
        wait_s = self.estimate_wait_s()
        if self.is_draining:
            raise Refusal(503, "The service is ending and accepts no new photographs; try again.", wait_s)
        if not self.is_loaded:
            raise Refusal(503, "The service is still loading its network; try again.", wait_s)
        if self._clients[client] >= self._limits.per_client:
            raise Refusal(
                429, f"You have {self._clients[client]} requests waiting already; wait for their answers.", wait_s
            )
        if len(self._admitted) >= self._limits.places:
            raise Refusal(503, f"{len(self._admitted)} requests are waiting already; try again.", wait_s)
        admission = Admission(self._limits.time_s)
        self._admitted.add(admission)
        self._clients[client] += 1
        try:
            yield admission
        finally:
            self._admitted.discard(admission)
            self._clients -= Counter({client: 1})

    async def restore(
        self, admission: Admission, content: bytes, options: Options, result_format: Format
    ) -> RestoredFile:
        """Restore the content of a photograph's file. Raises Refusal for photographs that cannot be restored."""
        try:
            async with self._in_memory:
                return await self._run_stages(admission, content, options, result_format)
        except TooManyPixelsError as error:
            raise Refusal(413, str(error)) from error
        except (MemoryShortageError, MemoryError) as error:
            sentence = str(error) or "The memory that is free is not enough; try again."
            raise Refusal(503, sentence, self.estimate_wait_s()) from error
        except UnblurError as error:
            raise Refusal(422, str(error)) from error

    def load(self) -> None:
        """Load the networks, and admit requests from then on. Raises UnblurError."""
        self.engine.load()
        self.is_loaded = True

    async def drain(self, limit_s: float) -> None:
        """Admit nothing more, and wait until no request is left; after `limit_s`, end those that are left."""
        self.is_draining = True
        until = time.monotonic() + limit_s
        while self._admitted and time.monotonic() < until:
            await asyncio.sleep(TICK_S)
        for admission in list(self._admitted):
            admission.end(Refusal(503, "The service ended before this photograph was restored; try again.", 1))

    def close(self) -> None:
        """Begin nothing more in any thread."""
        for pool in (self._network, self._helpers):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _run_stages(
        self, admission: Admission, content: bytes, options: Options, result_format: Format
    ) -> RestoredFile:
        with self._metrics.measure("decode"):
            decoded = await _run(self._helpers, lambda: self.engine.decode(content, options, result_format))
        arrived = time.perf_counter()

        def restore() -> None:
            admission.check()
            began = time.perf_counter()
            self._metrics.note("wait", began - arrived)
            self._is_restoring = True
            try:
                decoded.restore(admission.check)
            finally:
                self._is_restoring = False
            self._metrics.note_restored(decoded.pixels, time.perf_counter() - began)

        await _run(self._network, restore)
        with self._metrics.measure("encode"):
            return await _run(self._helpers, decoded.encode)


async def _run(pool: ThreadPoolExecutor, function: Callable[[], Value]) -> Value:
    return await asyncio.get_running_loop().run_in_executor(pool, function)
