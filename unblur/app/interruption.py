"""Ctrl-C that cannot get lost."""

import signal
import threading
from types import TracebackType
from typing import Self


class Interruption:
    """While it is entered, Ctrl-C waits for the next `check`; pressed once more, it raises KeyboardInterrupt at once.

    Python drops what is raised while it frees an object or runs a callback of a C library, with a traceback on the
    terminal, and a batch that spends its time in libvips and PyTorch would go on as if nobody had pressed anything.
    """

    def __init__(self) -> None:
        self._stop_requested = False
        self._handles = False

    def __enter__(self) -> Self:
        # Who ignores Ctrl-C, as background shells do, or handles it already has reasons; other threads may do neither.
        in_main_thread = threading.current_thread() is threading.main_thread()
        self._handles = in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._handles:
            signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handles:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def check(self) -> None:
        """Raises KeyboardInterrupt if Ctrl-C was pressed since this was entered."""
        if self._stop_requested:
            raise KeyboardInterrupt

    def _on_signal(self, *_: object) -> None:
        self._stop_requested = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
