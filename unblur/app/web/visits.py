"""Tracking of the visitors who have the page open, and removal of their files when they leave."""

import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from unblur.app.web.visit import Visit

ABSENT_S, DAY_S = 900.0, 86_400.0
"""Times in seconds after the last call at which a visit is removed: without the heartbeat of a browser, and with it."""


@dataclass
class Visits:
    """The visits, by the session that a client names; a session without a restored photograph has no files."""

    parent: Path
    """Folder of the visits' folders, and of the server's uploads and copies."""
    present: Collection[str]
    """Sessions with a heartbeat."""
    clock: Callable[[], float] = time.monotonic
    _open: dict[str, Visit] = field(default_factory=dict)
    _called: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _empty_since: float | None = None
    """Time at which the last visitor left; None while there is one."""

    def get(self, session: str) -> Visit:
        """Return the visit of a session, and begin one if there is none."""
        with self._lock:
            if session not in self._open:
                self._open[session] = Visit(self.parent)
            self._called[session] = self.clock()
            return self._open[session]

    def find(self, session: str) -> Visit | None:
        """Return the visit of a session; None where there is none."""
        with self._lock:
            if session in self._open:
                self._called[session] = self.clock()
            return self._open.get(session)

    def note_copies(self, visit: Visit, folders: Iterable[Path]) -> None:
        """Register folders of the server to be removed with the visit; any outside of `parent` are ignored."""
        visit.copies.update(folder for folder in folders if folder.parent == self.parent)

    def close(self, session: str) -> None:
        """Remove the visit, if there is one, with its uploads."""
        with self._lock:
            visit = self._open.pop(session, None)
            self._called.pop(session, None)
        if visit is not None:
            visit.close()
            # Equal files of several visitors are one copy.
            for folder in visit.copies - self._list_folders():
                shutil.rmtree(folder, ignore_errors=True)

    def forget_absent(self) -> None:
        """Remove every visit whose visitor has gone, except while its photographs are being restored.

        Once there has been no visitor for `ABSENT_S`, remove also uploads that were never restored.
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

    def _list_folders(self) -> set[Path]:
        """Return the folders of all visits."""
        with self._lock:
            return {folder for visit in self._open.values() for folder in visit.folders}

    def _forget_uploads(self) -> None:
        """Remove files that belong to no visit, except recent ones."""
        retained = self._list_folders()
        for path in self.parent.iterdir():
            try:
                if path in retained or time.time() - path.stat().st_mtime < ABSENT_S:
                    continue
                path.unlink() if not path.is_dir() else shutil.rmtree(path)
            except OSError:
                continue  # It was removed meanwhile, or is in use and will be tried again.
