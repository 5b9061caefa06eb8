"""`unblur simulate` as people and clusters run it: any number of workers, killed and begun again, the same bytes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tyro

from unblur.app.simulate_command import (
    ShardJob,
    _RayWorker,
    make_shard,
    make_shards,
    open_simulated_pairs,
    simulate,
)
from unblur.blur import Camera
from unblur.datasets import SimulatedPair
from unblur.datasets.shard_files import make_shard_path
from unblur.datasets.shards import (
    ShardFolder,
    ShardSettings,
    begin_shards,
    compute_content_table_sha256,
    describe_photos,
    write_shard,
)
from unblur.datasets.simulated import PatchSampling
from unblur.errors import UnblurError
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo

SIZE_PX = 64


def slow_pairs(photos: Path, settings: ShardSettings) -> Callable[[int], SimulatedPair]:
    """Return pairs that are slow enough to be interrupted."""
    fast = open_simulated_pairs(photos, settings)

    def pair(index: int) -> SimulatedPair:
        time.sleep(0.5 if index < settings.pairs_per_shard else 600)
        return fast(index)

    return pair


def failing_pairs(photos: Path, settings: ShardSettings) -> Callable[[int], SimulatedPair]:
    raise UnblurError(f"{photos} is not to our taste; take others than {len(settings.photos)}.")


def ending_pairs(photos: Path, settings: ShardSettings) -> Callable[[int], SimulatedPair]:
    """Return pairs that end the process, as the system does when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)
    return open_simulated_pairs(photos, settings)


@pytest.fixture
def job(tmp_path: Path) -> ShardJob:
    """Return the job of eight pairs in three shards."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(2):
        coarse = np.random.default_rng(number).integers(0, 255, (8, 9, 3), dtype=np.uint8)
        write_photo(Photo(pixels=coarse.repeat(10, 0).repeat(10, 1)), photos / f"{number}.png")
    settings = ShardSettings(
        unblur_version="0",
        seed=1,
        pairs=8,
        pairs_per_shard=3,
        sampling=PatchSampling(patch_px=SIZE_PX),
        camera=Camera(extent_px=(1, 8)),
        photos=describe_photos(photos),
        content_table_sha256=compute_content_table_sha256(photos),
    )
    return ShardJob(photos=photos, output=tmp_path / "shards", settings=settings)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def expected(job: ShardJob, tmp_path: Path) -> dict[str, bytes]:
    """Return the shards as this process makes them, without any worker."""
    pair = open_simulated_pairs(job.photos, job.settings)
    (tmp_path / "expected").mkdir()
    for shard, indices in enumerate([range(3), range(3, 6), range(6, 8)]):
        write_shard(make_shard_path(tmp_path / "expected", shard), indices, pair)
    return contents(tmp_path / "expected")


@pytest.fixture
def begun(job: ShardJob, expected: dict[str, bytes], tmp_path: Path) -> Path:
    """Return a folder as a run leaves it that ended after its first shard."""
    begin_shards(tmp_path / "begun", job.settings)
    first = make_shard_path(tmp_path / "begun", 0)
    first.write_bytes(expected[first.name])
    return tmp_path / "begun"


def assert_made(folder: Path, expected: dict[str, bytes]) -> None:
    made = contents(folder)
    made.pop("settings.json")
    assert made == expected


@pytest.mark.slow
def test_two_workers_make_the_same_bytes(job: ShardJob, begun: Path, expected: dict[str, bytes]) -> None:
    """They make the two shards that an interrupted run has left."""
    job = replace(job, output=begun)
    first = make_shard_path(begun, 0).stat()
    make_shards(job, workers=2)
    assert_made(job.output, expected)
    assert make_shard_path(begun, 0).stat().st_mtime_ns == first.st_mtime_ns
    assert len(list(ShardFolder(job.output))) == 8
    make_shards(job, workers=2)  # Nothing is left to do.
    assert_made(job.output, expected)


@pytest.mark.slow
def test_a_ray_cluster_makes_the_same_bytes(
    job: ShardJob, expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # Ray leaves a token there.
    make_shards(job, workers=1, ray="local")
    assert_made(job.output, expected)
    assert not ray.is_initialized()


def test_an_error_in_a_ray_worker_is_returned_as_a_value(job: ShardJob) -> None:
    """Without a cluster: a process can start one only once reliably."""
    result = _RayWorker(replace(job, source=failing_pairs))({"shard": 0})
    assert result["shard"] == 0
    assert "not to our taste" in str(result["problem"])


def test_without_ray_the_extra_is_named(job: ShardJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UnblurError, match=r"pip install 'unblur\[cluster\]'"):
        make_shards(job, ray="local")


PROGRAM = """\
import pickle, sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = {path!r}
    from unblur.app.simulate_command import make_shards
    make_shards(pickle.loads(Path({job!r}).read_bytes()), workers=2)
"""


def running(process_group: int) -> list[int]:
    """Return the processes of the group that have not ended."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            except OSError:
                continue
            if int(group) == process_group and state != "Z":
                found.append(int(entry.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_command_leaves_whole_shards_and_no_worker(
    job: ShardJob, begun: Path, tmp_path: Path, how: signal.Signals
) -> None:
    import pickle

    (tmp_path / "job.pickle").write_bytes(pickle.dumps(replace(job, source=slow_pairs)))
    (tmp_path / "program.py").write_text(PROGRAM.format(path=sys.path, job=str(tmp_path / "job.pickle")))
    process = subprocess.Popen(
        [sys.executable, tmp_path / "program.py"],
        start_new_session=True,
        # A parent that ignores Ctrl-C, as background shells do, must not pass that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        first = job.output / "pairs-000000.tar"
        waited_until = time.monotonic() + 120
        while not first.exists() and process.poll() is None and time.monotonic() < waited_until:
            time.sleep(0.05)
        assert len(running(process.pid)) >= 3  # The command and its workers, which are in the middle of a shard.
        process.send_signal(how)
        assert process.wait(30) != 0
        # Nobody is left to wait for shards that nobody counts.
        waited_until = time.monotonic() + 30
        while running(process.pid) and time.monotonic() < waited_until:
            time.sleep(0.05)
        assert running(process.pid) == []
    finally:
        if running(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
    # From there, another test continues.
    assert contents(job.output) == contents(begun)


@pytest.mark.slow
def test_an_error_in_a_worker_is_reported_in_its_sentence(job: ShardJob) -> None:
    with pytest.raises(UnblurError, match="is not to our taste; take others than 2"):
        make_shards(replace(job, source=failing_pairs), workers=1)
    with pytest.raises(UnblurError, match="ended from outside, perhaps for want of memory"):
        make_shards(replace(job, source=ending_pairs), workers=1)
    # Another machine of the cluster, with other photographs.
    other = replace(job.settings, photos=job.settings.photos[:1])
    with pytest.raises(UnblurError, match="not those that the run began with"):
        make_shard(replace(job, settings=other), 0)
    with pytest.raises(UnblurError, match="at least 1, not 0"):
        make_shards(job, workers=0)
    job.output.rename(job.output.with_name("elsewhere"))
    job.output.write_text("in the way")
    with pytest.raises(UnblurError, match="cannot be written"):
        make_shards(job, workers=1)


def parsed(*words: str) -> dict[str, object]:
    """Return the arguments that the command is called with."""
    called: dict[str, object] = {}
    from functools import wraps

    @wraps(simulate)
    def record(**arguments: object) -> int:
        called.update(arguments)
        return 0

    tyro.cli(record, args=words, config=(tyro.conf.FlagCreatePairsOff,))
    return called


def test_ray_takes_an_address_or_none() -> None:
    command = ("photos", "-o", "shards", "--pairs", "6")
    assert parsed(*command)["ray"] is None
    assert parsed(*command, "--ray")["ray"] == "local"
    assert parsed(*command, "--ray", "--quiet")["ray"] == "local"
    assert parsed(*command, "--ray", "10.0.0.1:6379", "--seed", "3")["ray"] == "10.0.0.1:6379"
    for words, address in ((["--ray", "auto", "photos"], "auto"), (["--ray", "photos"], "local")):
        arguments = parsed("-o", "shards", "--pairs", "6", *words)
        assert (arguments["ray"], arguments["photos"]) == (address, Path("photos"))
    with pytest.raises(SystemExit):
        parsed(*command, "--ray", "one", "two")


@pytest.mark.slow
def test_the_command_itself(job: ShardJob, tmp_path: Path) -> None:
    options = {"pairs": 3, "size": SIZE_PX, "pairs_per_shard": 2, "quiet": True}
    assert simulate(job.photos, tmp_path / "one", workers=1, **options) == 0
    made = contents(tmp_path / "one")
    # The number of workers is no setting: another one continues.
    make_shard_path(tmp_path / "one", 1).unlink()
    assert simulate(job.photos, tmp_path / "one", workers=2, **options) == 0
    assert contents(tmp_path / "one") == made
    for pair in ShardFolder(tmp_path / "one"):
        assert pair.blurry.shape == pair.sharp.shape == (3, SIZE_PX, SIZE_PX)
        assert pair.saturated.shape == (1, SIZE_PX, SIZE_PX)
        assert pair.start.shape == pair.end.shape == (2, SIZE_PX // 16, SIZE_PX // 16)
        assert pair.curve.shape == (3, 2, SIZE_PX // 16, SIZE_PX // 16)
    with pytest.raises(UnblurError, match=r"other settings \(seed;"):
        simulate(job.photos, tmp_path / "one", seed=2, **options)
    with pytest.raises(UnblurError, match="no folder"):
        simulate(tmp_path / "nowhere", tmp_path / "one", **options)
