"""Handling of Ctrl-C that never loses an interruption."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import NoReturn, Self

WORKER_NAME = "unblur worker"
"""Name of threads that may still compute when the program is to end."""


def end_process(code: int) -> NoReturn:
    """End the process with exit code `code`, without waiting for threads that compute or for Python's cleaning up.

    Python would wait until PyTorch returns, crash where that uses what Python has freed by then, and spend seconds on
    unloading PyTorch.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


@contextlib.contextmanager
def end_at_once() -> Iterator[None]:
    """Let Ctrl-C end the process inside this context, which may write nothing.

    The import of PyTorch takes seconds, during which Python handles no signals.
    """
    handles = _is_default_handler()
    if handles:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        if handles:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_default_handler() -> bool:
    """Return whether Ctrl-C raises KeyboardInterrupt in this thread.

    Another handler is left in place, as in background shells; other threads cannot set one.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    return in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Interruption:
    """Context in which Ctrl-C waits for the next `check`; pressed once more, it raises KeyboardInterrupt at once.

    Python drops an exception that is raised while it frees an object or runs a callback of a C library, and prints a
    traceback. A batch that spends its time in libvips and PyTorch would continue as if Ctrl-C had not been pressed.
    """

    def __init__(self) -> None:
        self._stop_requested = False
        self._handles = False

    def __enter__(self) -> Self:
        self._handles = _is_default_handler()
        if self._handles:
            signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handles:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed since the context was entered."""
        if self._stop_requested:
            raise KeyboardInterrupt

    def _on_signal(self, *_: object) -> None:
        self._stop_requested = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
