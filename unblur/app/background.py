"""Long work in a thread, while the main thread reports its progress and can stop at any time."""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from unblur.app.interruption import WORKER_NAME, Interruption
from unblur.app.report import Report
from unblur.restoration.tiled import Progress

TICK_S = 0.1
"""Seconds between two checks for Ctrl-C, and between two updates of the clock of the bar."""

Result = TypeVar("Result")


class StoppedError(BaseException):
    """Ends the work of a thread after Ctrl-C; nothing between treats it as a failure of a file."""


@dataclass(frozen=True)
class _Returned(Generic[Result]):
    result: Result


@dataclass(frozen=True)
class _Raised:
    error: BaseException


def run_in_background(work: Callable[[Progress], Result], report: Report, interruption: Interruption) -> Result:
    """Run `work` in a thread, report its progress, and return its result.

    `work` gets a function to call with the share that is done. Raises KeyboardInterrupt after Ctrl-C, while the thread
    may still compute: it ends when it next reports progress. Exceptions of `work` are raised here.
    """
    events: queue.SimpleQueue[float | _Returned[Result] | _Raised] = queue.SimpleQueue()
    stopped = threading.Event()

    def report_progress(share: float) -> None:
        if stopped.is_set():
            raise StoppedError
        events.put(share)

    def serve() -> None:
        try:
            events.put(_Returned(work(report_progress)))
        except BaseException as error:
            events.put(_Raised(error))

    threading.Thread(target=serve, name=WORKER_NAME, daemon=True).start()
    try:
        while True:
            interruption.check()
            try:
                event = events.get(timeout=TICK_S)
            except queue.Empty:
                report.tick()
                continue
            match event:
                case _Returned(result):
                    return result
                case _Raised(error):
                    raise error
                case share:
                    report.progress(share)
    finally:
        stopped.set()
