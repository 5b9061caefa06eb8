"""Watching of folders: photographs that appear in them are restored as soon as they are complete."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from unblur.app.batch import Reporting, run_batch
from unblur.app.interruption import Interruption
from unblur.app.jobs import Job, separate_shared_targets
from unblur.app.report import INTERRUPTED, OK, SOME_FAILED
from unblur.app.restore_job import FinishedJob, JobRunner

POLL_S = 1.0
"""Seconds between two scans of the folders. Polling works on every system and on network drives."""

SETTLED_S = 2.0
"""Seconds for which a file must not have changed before it counts as complete."""

TICK_S = 0.1
"""Seconds between two checks for Ctrl-C."""

Signature = tuple[int, int]
"""Size in bytes, and time of the last change in nanoseconds."""


class Watch:
    """The photographs in watched folders that have been observed so far."""

    def __init__(self) -> None:
        self._changed: dict[str, tuple[Signature, float]] = {}
        self._done: dict[str, Signature] = {}

    def select_complete(self, jobs: Sequence[Job], now_s: float) -> list[Job]:
        """Return the jobs whose photographs have stopped growing, each once until its file changes again.

        `now_s` is the time of the scan on a clock that only runs forward.
        """
        complete = []
        for job in jobs:
            path = str(job.source)
            try:
                status = os.stat(path)  # noqa: PTH116 - the name is the key
            except OSError:
                # It has been removed or renamed since the scan.
                continue
            signature = status.st_size, status.st_mtime_ns
            if self._done.get(path) == signature:
                continue
            before, since_s = self._changed.get(path, (None, now_s))
            if before != signature:
                self._changed[path] = signature, now_s
            elif now_s - since_s >= SETTLED_S:
                del self._changed[path]
                self._done[path] = signature
                complete.append(job)
        return complete


def watch(plan: Callable[[], Sequence[Job]], run: Callable[[Sequence[Job]], None], interruption: Interruption) -> None:
    """Run the jobs of complete photographs again and again. Ends by KeyboardInterrupt, or an error of `plan` or `run`.

    `plan` scans the folders.
    """
    watched = Watch()
    while True:
        jobs = watched.select_complete(plan(), time.monotonic())
        if jobs:
            run(jobs)
        until_s = time.monotonic() + POLL_S
        while time.monotonic() < until_s:
            interruption.check()
            time.sleep(TICK_S)


def watch_folders(plan: Callable[[], Sequence[Job]], runner: JobRunner, reporting: Reporting, *, threads: int) -> int:
    """Restore complete photographs in batches until Ctrl-C, and return the exit code: 1 if some failed."""
    finished: list[FinishedJob] = []
    code = OK

    with Interruption() as interruption:

        def run(jobs: Sequence[Job]) -> None:
            nonlocal finished, code, reporting
            batch_code, finished = run_batch(jobs, runner, reporting, interruption, threads=threads, earlier=finished)
            if batch_code == INTERRUPTED:
                raise KeyboardInterrupt
            code = max(code, batch_code)
            # Reported once.
            reporting = replace(reporting, new_folder=None)

        refused: set[Path] = set()

        def select() -> list[Job]:
            nonlocal code
            distinct, shared = separate_shared_targets(plan())
            for job, sentence in shared:
                if job.source not in refused:
                    refused.add(job.source)
                    code = SOME_FAILED
                    sys.stderr.write(f"{sentence}\n")
            return [job for job in distinct if not runner.skips(job)]

        _say(reporting, "Waiting for photographs; Ctrl-C ends it.")
        try:
            watch(select, run, interruption)
        except KeyboardInterrupt:
            restored = sum(job.outcome.status == "ok" for job in finished)
            _say(reporting, f"Stopped: {restored} photographs were restored.")
    return code


def _say(reporting: Reporting, sentence: str) -> None:
    if not reporting.quiet and not reporting.json_lines:
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()
