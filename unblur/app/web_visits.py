"""Tracks who has the page open, and forgets what visitors brought when they leave."""

import threading
import time
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from pathlib import Path

from unblur.app.web_results import Visit

ABSENT_S, DAY_S = 900.0, 86_400.0
"""A visit without the heartbeat of a browser is forgotten so long after its last call; with one, after a day."""


@dataclass
class Visits:
    """The visits, by the session that a client names; names cost nothing until a photograph is restored."""

    parent: Path
    """Folder of the visits' folders."""
    present: Container[str]
    """Sessions whose heartbeat is felt."""
    clock: Callable[[], float] = time.monotonic
    _open: dict[str, Visit] = field(default_factory=dict)
    _called: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, session: str) -> Visit:
        """The visit of a session, which begins now if there is none."""
        with self._lock:
            if session not in self._open:
                self._open[session] = Visit(self.parent)
            self._called[session] = self.clock()
            return self._open[session]

    def find(self, session: str) -> Visit | None:
        """The visit of a session; None where there is none."""
        with self._lock:
            if session in self._open:
                self._called[session] = self.clock()
            return self._open.get(session)

    def close(self, session: str) -> None:
        """Forget the visit, if there was one."""
        with self._lock:
            visit = self._open.pop(session, None)
            self._called.pop(session, None)
        if visit is not None:
            visit.close()

    def forget_absent(self) -> None:
        """Forget every visit whose visitor has gone, but for those whose photographs are being restored."""
        now = self.clock()
        with self._lock:
            old = [
                session
                for session, visit in self._open.items()
                if not visit.is_busy and now - self._called[session] > (DAY_S if session in self.present else ABSENT_S)
            ]
        for session in old:
            self.close(session)
