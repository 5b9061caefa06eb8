"""Batches in threads: the order of reports, equal results, Ctrl-C while the network computes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unblur.app.batch import Batch
from unblur.app.cli import main
from unblur.app.interruption import Interruption
from unblur.app.jobs import Job
from unblur.app.report import Report
from unblur.app.restore_job import FinishedJob, JobRunner, JobSettings
from unblur.photos.photo import Photo
from unblur.restoration.picture_restorer import Restoration

SETTINGS = JobSettings()

needs_signals = pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")


def jobs_in(folder: Path, count: int) -> list[Job]:
    return [
        Job(source=folder / f"{n}.png", output=folder / f"{n}_out.png", compare=None, uncertainty=None)
        for n in range(count)
    ]


class Recorded(JobRunner):
    """Runner without files and without a network, which records how many photographs it holds."""

    def __init__(self) -> None:
        super().__init__(SETTINGS, lambda: None)
        self.order: list[int] = []
        self.held = self.most_held = self.restoring = 0
        self.lock = threading.Lock()

    def check_existing(self, _: Job) -> None:
        return None

    def load(self) -> None:
        pass

    def read(self, job: Job) -> Photo:
        with self.lock:
            self.held += 1
            self.most_held = max(self.most_held, self.held)
        number = int(job.source.stem)
        # Later photographs are read faster.
        time.sleep(0.002 * (10 - number))
        return Photo(pixels=np.full((4, 4, 3), number, np.uint8))

    def restore(self, photo: Photo, progress: Callable[[float], None]) -> Restoration:
        self.restoring += 1
        assert self.restoring == 1
        progress(0.5)
        self.order.append(int(photo.pixels[0, 0, 0]))
        self.restoring -= 1
        return Restoration(photo=photo, seconds=0, tile_px=0, change=0, fallback_share=0, strength=1)

    def encode(self, *_: object) -> FinishedJob:
        with self.lock:
            self.held -= 1
        raise ValueError("no file")


@pytest.mark.parametrize("threads", [1, 3, 20])
def test_photographs_are_restored_one_by_one_in_their_order_in_bounded_memory(threads: int, tmp_path: Path) -> None:
    runner = Recorded()
    batch = Batch(jobs_in(tmp_path, 10), runner, threads=threads)
    with Report(10, quiet=True, json_lines=False) as report, Interruption() as interruption:
        batch.run(report, interruption)
        assert report.finish() == 1
    assert runner.order == list(range(10))
    assert runner.most_held <= threads
    assert [finished.outcome.input for finished in batch.finished] == [str(tmp_path / f"{n}.png") for n in range(10)]


def test_the_number_of_jobs_changes_no_byte_and_no_order(tmp_path, make_photo, tiny_checkpoint, capsys) -> None:
    for number in range(5):
        make_photo(tmp_path / "in" / f"{number}.png", 70 + 20 * number, 150)
    (tmp_path / "in" / "1_bad.png").write_bytes(b"no photograph")
    files, reports = [], []
    for jobs in ("1", "3"):
        out = tmp_path / f"out{jobs}"
        arguments = ["--jobs", jobs, "--checkpoint", str(tiny_checkpoint), "--tile", "64", "--json", "--compare"]
        assert main([str(tmp_path / "in"), "-o", str(out), *arguments]) == 1
        files.append({path.name: path.read_bytes() for path in out.iterdir()})
        reports.append([json.loads(line) for line in capsys.readouterr().out.splitlines()])
    assert files[0] == files[1]
    assert len(files[0]) == 10
    inputs = [[record["input"] for record in report] for report in reports]
    assert inputs[0] == inputs[1] == sorted(inputs[0])
    assert [record["status"] for record in reports[1]] == ["ok", "ok", "failed", "ok", "ok", "ok"]


class Endless(Recorded):
    """Runner whose network ignores everything for half a minute."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()
        self.end = threading.Event()

    def restore(self, photo: Photo, progress: Callable[[float], None]) -> Restoration:
        self.begun.set()
        self.end.wait(30)
        return super().restore(photo, progress)


@needs_signals
def test_ctrl_c_does_not_wait_for_the_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runner = Endless()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        press = threading.Thread(target=lambda: runner.begun.wait(30) and os.kill(os.getpid(), signal.SIGINT))
        press.start()
        with Report(3, quiet=False, json_lines=False) as report, Interruption() as interruption:
            batch = Batch(jobs_in(tmp_path, 3), runner, threads=2)
            with pytest.raises(KeyboardInterrupt):
                batch.run(report, interruption)
            pressed = time.monotonic()
            assert report.interrupt() == 130
        press.join()
        assert time.monotonic() - pressed < 1
    finally:
        runner.end.set()
        signal.signal(signal.SIGINT, before)
    assert "Interrupted: 0 of 3 photographs were restored" in capsys.readouterr().err
    # What the thread computes afterwards is written nowhere.
    time.sleep(0.1)
    assert list(tmp_path.iterdir()) == []


@needs_signals
def test_the_process_ends_while_the_network_computes(tmp_path, make_photo, tiny_checkpoint) -> None:
    make_photo(tmp_path / "photo.png")
    code = """
import sys, time
from pathlib import Path
from unblur.app.cli import main
from unblur.app.restore_job import JobRunner
def restore(*_):
    Path("begun").touch()
    time.sleep(60)
JobRunner.restore = restore
sys.exit(main())
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, "photo.png", "--checkpoint", str(tiny_checkpoint)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    pressed = time.monotonic()
    _, error = process.communicate(timeout=60)
    assert time.monotonic() - pressed < 10  # Of 60; on an idle machine 0.2.
    assert process.returncode == 130
    assert error.startswith("Interrupted: the photograph was not restored")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun", "photo.png"]


def test_a_network_that_cannot_be_loaded_ends_the_batch(tmp_path, make_photo, capsys) -> None:
    for number in range(3):
        make_photo(tmp_path / f"{number}.png")
    assert main([str(tmp_path), "--jobs", "2", "--checkpoint", str(tmp_path / "missing")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main([str(tmp_path / "0.png"), "--jobs", "0"]) == 2
    assert "--jobs 0" in capsys.readouterr().err
