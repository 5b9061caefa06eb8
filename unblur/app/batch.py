"""A batch of photographs in threads: the main thread reports and can stop at any time, the others work.

The network restores one photograph at a time, in the order of the batch. With more than one thread the next photograph
is decoded and the previous one encoded meanwhile; each thread holds one photograph in memory. Every photograph is
restored by itself, so the number of threads changes no result.
"""

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from unblur.app.background import TICK_S, StoppedError
from unblur.app.interruption import WORKER_NAME, Interruption
from unblur.app.jobs import Job
from unblur.app.report import Outcome, Report, describe_error
from unblur.app.report_file import write_report
from unblur.app.restore_job import FinishedJob, JobRunner, fail, write_files
from unblur.photos.photo import Photo
from unblur.restoration.picture_restorer import Restoration

SMALLEST_STEP = 0.002
"""Share of a photograph between two reports of its progress."""


@dataclass(frozen=True)
class _Begun:
    index: int


@dataclass(frozen=True)
class _Advanced:
    index: int
    share: float


@dataclass(frozen=True)
class _Done:
    index: int
    finished: FinishedJob


@dataclass(frozen=True)
class _Broken:
    """The end of the whole batch by an error that is not a photograph's."""

    error: BaseException


@dataclass(frozen=True, kw_only=True)
class Reporting:
    """The places that a batch reports to."""

    quiet: bool
    json_lines: bool
    to_stdout: bool = True
    """True if the report is written to stdout; False if stdout receives the photograph."""
    file: Path | None = None
    """Report file about all batches of the command; None for no file."""
    new_folder: Path | None = None
    """Folder that did not exist when the command began."""


def run_batch(
    jobs: Sequence[Job],
    runner: JobRunner,
    reporting: Reporting,
    interruption: Interruption,
    *,
    threads: int,
    earlier: Sequence[FinishedJob] = (),
) -> tuple[int, list[FinishedJob]]:
    """Run and report a batch; return the exit code and the finished jobs, after those of `earlier` batches.

    Raises UnblurError if the network cannot be loaded or the report file not be written.
    """
    batch = Batch(jobs, runner, threads=threads)
    with Report(
        len(jobs), quiet=reporting.quiet, json_lines=reporting.json_lines, uses_stdout=reporting.to_stdout
    ) as report:
        try:
            batch.run(report, interruption)
            code = None
        except KeyboardInterrupt:
            code = report.interrupt()
        finished = [*earlier, *batch.finished]
        if reporting.new_folder is not None and reporting.new_folder.exists():
            report.note(f"Created the folder {reporting.new_folder}.")
        if reporting.file is not None:
            write_report(reporting.file, finished)
        return report.finish() if code is None else code, finished


class Batch:
    """Batch of jobs. `run` returns when all are done, or raises KeyboardInterrupt while threads may still compute.

    Such threads end at their next progress, and write no file.
    """

    def __init__(self, jobs: Sequence[Job], runner: JobRunner, *, threads: int) -> None:
        """Take over the jobs, of which `threads` are in work at a time."""
        self._jobs = jobs
        self._runner = runner
        self._threads = min(threads, len(jobs))
        self._events: queue.SimpleQueue[_Begun | _Advanced | _Done | _Broken] = queue.SimpleQueue()
        self._numbers = iter(range(len(jobs)))
        self._turn = 0
        self._turns = threading.Condition()
        self._stopped = False
        self._writing = threading.Lock()
        self._finished: dict[int, FinishedJob] = {}

    @property
    def finished(self) -> list[FinishedJob]:
        """The jobs that are finished, in their order."""
        return [self._finished[index] for index in sorted(self._finished)]

    def run(self, report: Report, interruption: Interruption) -> None:
        """Run all jobs, and report them in their order. Raises KeyboardInterrupt, and UnblurError without a network."""
        for _ in range(self._threads):
            threading.Thread(target=self._serve_jobs, name=WORKER_NAME, daemon=True).start()
        reported = 0
        try:
            while reported < len(self._jobs):
                interruption.check()
                try:
                    event = self._events.get(timeout=TICK_S)
                except queue.Empty:
                    report.tick()
                    continue
                self._handle(event, report)
                while reported in self._finished:
                    report.add(self._finished[reported].outcome)
                    reported += 1
        except BaseException:
            self._stop()
            for index in range(reported, len(self._jobs)):
                if index in self._finished:
                    report.add(self._finished[index].outcome)
            raise

    def _handle(self, event: _Begun | _Advanced | _Done | _Broken, report: Report) -> None:
        match event:
            case _Begun(index):
                report.begin(self._jobs[index].source, index)
            case _Advanced(index, share):
                report.progress(share, index)
            case _Done(index, finished):
                self._finished[index] = finished
            case _Broken(error):
                raise error

    def _stop(self) -> None:
        """Let no thread write or begin anything more, after those files that are being written."""
        with self._writing:
            self._stopped = True
        with self._turns:
            self._turns.notify_all()
        while True:
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                return
            if isinstance(event, _Done):
                self._finished[event.index] = event.finished

    def _check(self) -> None:
        if self._stopped:
            raise StoppedError

    def _serve_jobs(self) -> None:
        try:
            while True:
                with self._turns:
                    index = next(self._numbers, None)
                if index is None:
                    return
                self._check()
                finished = self._finish(index)
                self._events.put(_Done(index, finished))
        except StoppedError:
            return
        except BaseException as error:
            self._events.put(_Broken(error))

    def _finish(self, index: int) -> FinishedJob:
        """Do one job. One bad file never stops a batch, not even by a defect of this program."""
        job = self._jobs[index]
        if self._threads == 1:
            self._events.put(_Begun(index))
        try:
            read = self._runner.check_existing(job) or self._runner.read(job)
        except Exception as error:
            read = fail(job, describe_error(error))
        if isinstance(read, Outcome):
            with self._wait_for_turn(index):
                return FinishedJob(outcome=read)
        with self._wait_for_turn(index):
            restored = self._restore(index, read)
        if isinstance(restored, Outcome):
            return FinishedJob(outcome=restored)
        return self._encode_and_write(job, read, restored)

    def _restore(self, index: int, photo: Photo) -> Restoration | Outcome:
        if self._threads > 1:
            self._events.put(_Begun(index))
        # An error here is not a photograph's.
        self._runner.load()
        self._check()
        last = 0.0

        def progress(share: float) -> None:
            nonlocal last
            self._check()
            if share - last >= SMALLEST_STEP:
                last = share
                self._events.put(_Advanced(index, share))

        try:
            return self._runner.restore(photo, progress)
        except Exception as error:
            return fail(self._jobs[index], describe_error(error))

    def _encode_and_write(self, job: Job, photo: Photo, restoration: Restoration) -> FinishedJob:
        try:
            finished = self._runner.encode(job, photo, restoration)
            if job.to_stdout:
                # Its reader may be slow, so Ctrl-C must not wait for it.
                self._check()
                write_files(job, finished)
            else:
                with self._writing:
                    self._check()
                    write_files(job, finished)
        except BrokenPipeError:
            raise
        except Exception as error:
            return FinishedJob(outcome=fail(job, describe_error(error)))
        # Of the files, only the outcome is of use from here on.
        return FinishedJob(outcome=finished.outcome, thumbnails=finished.thumbnails)

    @contextmanager
    def _wait_for_turn(self, index: int) -> Iterator[None]:
        """Enter when the network has restored all photographs before this one."""
        with self._turns:
            self._turns.wait_for(lambda: self._turn == index or self._stopped)
        self._check()
        try:
            yield
        finally:
            with self._turns:
                self._turn += 1
                self._turns.notify_all()
