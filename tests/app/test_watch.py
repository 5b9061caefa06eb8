"""Watched folders: what counts as complete, and the end by Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from unblur.app.batch import Reporting
from unblur.app.cli import main
from unblur.app.jobs import Job
from unblur.app.restore_job import JobRunner, JobSettings
from unblur.app.watch import SETTLED_S, Watch, watch_folders


def job(path: Path) -> Job:
    return Job(source=path, output=path.with_suffix(".out"), compare=None, uncertainty=None)


def test_a_photograph_is_complete_when_it_has_stopped_growing(tmp_path: Path) -> None:
    watch, photo = Watch(), tmp_path / "a.jpg"
    jobs = [job(photo)]
    assert watch.select_complete(jobs, 0) == []
    for second in range(5):
        with photo.open("ab") as file:
            file.write(b"more")
        assert watch.select_complete(jobs, second) == []
    assert watch.select_complete(jobs, 4 + SETTLED_S / 2) == []
    assert watch.select_complete(jobs, 4 + SETTLED_S) == jobs
    # Once, until it changes again.
    assert watch.select_complete(jobs, 100) == []
    photo.write_bytes(b"another photograph")
    assert watch.select_complete(jobs, 101) == []
    assert watch.select_complete(jobs, 101 + SETTLED_S) == jobs


def test_a_photograph_that_is_removed_meanwhile_is_no_error(tmp_path: Path) -> None:
    watch, photo = Watch(), tmp_path / "a.jpg"
    photo.touch()
    assert watch.select_complete([job(photo)], 0) == []
    photo.unlink()
    assert watch.select_complete([job(photo)], 10) == []


def test_only_folders_are_watched(tmp_path: Path, make_photo, capsys) -> None:
    photo = make_photo(tmp_path / "a.jpg")
    for argument in (str(photo), "-", str(tmp_path / "missing")):
        assert main([argument, "--watch"]) == 2
        assert f"{argument} is none" in capsys.readouterr().err


def test_a_photograph_whose_result_would_replace_another_is_reported_once(tmp_path: Path, capsys) -> None:
    shared = [replace(job(tmp_path / name), output=tmp_path / "a.png") for name in ("a.heic", "a.jpg")]
    plans = iter([shared, shared, shared])
    selected: list[Path] = []

    class Runner(JobRunner):
        def skips(self, job: Job) -> bool:
            selected.append(job.source)
            return True

    def plan() -> list[Job]:
        found = next(plans, None)
        if found is None:
            raise KeyboardInterrupt
        return found

    reporting = Reporting(quiet=True, json_lines=False, to_stdout=True, file=None, new_folder=None)
    assert watch_folders(plan, Runner(JobSettings(), lambda: None), reporting, threads=1) == 1
    assert set(selected) == {tmp_path / "a.heic"}
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert f"{tmp_path / 'a.heic'} and {tmp_path / 'a.jpg'} would both be written to {tmp_path / 'a.png'}" in lines[0]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")
def test_photographs_that_appear_are_restored_until_ctrl_c(tmp_path: Path, make_photo, tiny_checkpoint) -> None:
    watched, out = tmp_path / "in", tmp_path / "out"
    make_photo(watched / "deep" / "a.png")
    make_photo(watched / "done.png")
    make_photo(out / "done_unblurred.png").write_bytes(b"precious")
    command = [sys.executable, "-m", "unblur", str(watched), "-o", str(out), "-r", "--watch"]
    process = subprocess.Popen(
        [*command, "--report", str(tmp_path / "report.json"), "--checkpoint", str(tiny_checkpoint)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )

    def wait_for(path: Path) -> None:
        deadline = time.monotonic() + 120
        while not path.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    wait_for(out / "deep" / "a_unblurred.png")
    content = make_photo(tmp_path / "b.png").read_bytes()
    # As a camera or a network writes it: in pieces, which are not a photograph.
    with (watched / "b.png").open("wb") as file:
        for start in range(0, len(content), len(content) // 4):
            file.write(content[start : start + len(content) // 4])
            file.flush()
            time.sleep(0.4)
    wait_for(out / "b_unblurred.png")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    output, error = process.communicate(timeout=60)
    assert process.returncode == 0
    assert error.splitlines() == ["Waiting for photographs; Ctrl-C ends it.", "Stopped: 2 photographs were restored."]
    assert len(output.splitlines()) == 2
    assert (out / "done_unblurred.png").read_bytes() == b"precious"
    assert (tmp_path / "report.json").read_text().count('"status": "ok"') == 2
