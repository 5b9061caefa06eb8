"""Work in a thread: its result, its errors, and Ctrl-C while it computes."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from unblur.app.background import StoppedError, run_in_background
from unblur.app.interruption import Interruption
from unblur.app.report import Report
from unblur.restoration.tiled import Progress


@pytest.fixture
def report() -> Iterator[Report]:
    with Report(1, quiet=True, json_lines=False) as one:
        yield one


def test_results_and_errors_of_the_work_are_passed_on(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[float] = []
    monkeypatch.setattr(report, "progress", shares.append)

    def work(progress: Progress) -> str:
        for share in (0.25, 0.5, 1.0):
            progress(share)
        return threading.current_thread().name

    with Interruption() as interruption:
        assert run_in_background(work, report, interruption) == "unblur worker"
        assert shares == [0.25, 0.5, 1.0]
        with pytest.raises(ZeroDivisionError):
            run_in_background(lambda _: 1 / 0, report, interruption)


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")
def test_ctrl_c_does_not_wait_for_the_work_which_ends_at_its_next_progress(report: Report) -> None:
    begun, released, ended = threading.Event(), threading.Event(), threading.Event()

    def work(progress: Progress) -> None:
        begun.set()
        released.wait(30)
        try:
            progress(0.5)
        except StoppedError:
            ended.set()
            raise

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        press = threading.Thread(target=lambda: begun.wait(30) and os.kill(os.getpid(), signal.SIGINT))
        press.start()
        with Interruption() as interruption, pytest.raises(KeyboardInterrupt):
            run_in_background(work, report, interruption)
        assert not released.is_set()
        press.join()
    finally:
        released.set()
        signal.signal(signal.SIGINT, before)
    assert ended.wait(10)


def test_the_clock_of_the_bar_moves_during_silent_work(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    ticked = threading.Event()
    monkeypatch.setattr(report, "tick", ticked.set)
    with Interruption() as interruption:
        assert run_in_background(lambda _: ticked.wait(30), report, interruption)
