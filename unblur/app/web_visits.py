"""Tracks who has the page open, and forgets what visitors brought when they leave."""

import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from unblur.app.web_results import Visit

ABSENT_S, DAY_S = 900.0, 86_400.0
"""A visit without the heartbeat of a browser is forgotten so long after its last call; with one, after a day."""


@dataclass
class Visits:
    """The visits, by the session that a client names; names cost nothing until a photograph is restored."""

    parent: Path
    """Folder of the visits' folders, and of the server's uploads and copies."""
    present: Collection[str]
    """Sessions whose heartbeat is felt."""
    clock: Callable[[], float] = time.monotonic
    _open: dict[str, Visit] = field(default_factory=dict)
    _called: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _empty_since: float | None = None
    """Time at which the last visitor left; None while there is one."""

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

    def note_copies(self, visit: Visit, folders: Iterable[Path]) -> None:
        """Have these folders of the server's go when the visit does; any that do not lie in `parent` stay."""
        visit.copies.update(folder for folder in folders if folder.parent == self.parent)

    def close(self, session: str) -> None:
        """Forget the visit, if there was one, with its uploads and the server's copies of its results."""
        with self._lock:
            visit = self._open.pop(session, None)
            self._called.pop(session, None)
        if visit is not None:
            visit.close()
            # Equal files of several visitors are one copy.
            for folder in visit.copies - self._retained():
                shutil.rmtree(folder, ignore_errors=True)

    def forget_absent(self) -> None:
        """Forget every visit whose visitor has gone, but for those whose photographs are being restored.

        Once nobody has been there for `ABSENT_S`, forget also what was uploaded and never restored.
        """
        now = self.clock()
        with self._lock:
            old = [
                session
                for session, visit in self._open.items()
                if not visit.is_busy and now - self._called[session] > (DAY_S if session in self.present else ABSENT_S)
            ]
        for session in old:
            self.close(session)
        if self._open or self.present:
            self._empty_since = None
        elif self._empty_since is None:
            self._empty_since = now
        elif now - self._empty_since > ABSENT_S:
            self._forget_uploads()

    def _retained(self) -> set[Path]:
        """The folders of all visits."""
        with self._lock:
            return {folder for visit in self._open.values() for folder in visit.folders}

    def _forget_uploads(self) -> None:
        """Forget what belongs to no visit, unless it came just now."""
        retained = self._retained()
        for path in self.parent.iterdir():
            try:
                if path in retained or time.time() - path.stat().st_mtime < ABSENT_S:
                    continue
                path.unlink() if not path.is_dir() else shutil.rmtree(path)
            except OSError:
                continue  # It is gone, or is in use and will be tried again.
