"""`unblur restore --ray`: every photograph once, whatever is killed, with the bytes of `unblur restore`."""

import csv
import json
import os
import pickle
import shutil
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.data_sets import BenchmarkSet
from experiments.dataset_rows import RowContext, measure_row
from unblur.app import restore_command
from unblur.app.cli import main
from unblur.app.cluster import evaluate as cluster_evaluate
from unblur.app.cluster import ray_cluster
from unblur.app.cluster import restore as cluster_restore
from unblur.app.cluster import speed as cluster_speed
from unblur.app.cluster.evaluate import MeasuringWorker
from unblur.app.cluster.jobs import MANIFEST_FOLDER, plan_stored_jobs
from unblur.app.cluster.ray_cluster import RayCluster, wants_accelerator
from unblur.app.cluster.restore import RestoringWorker
from unblur.app.cluster.storage import open_storage
from unblur.app.generative_options import GenerativeOptions
from unblur.app.jobs import UsageError, plan_jobs
from unblur.app.restore_job import JobSettings
from unblur.app.restorer_choice import RestorerChoice
from unblur.checkpoints.folder import BUNDLED_FAITHFUL
from unblur.errors import UnblurError
from unblur.evaluation.measured_pictures import find_pictures
from unblur.photos.photo import Photo
from unblur.photos.reading import read_photo
from unblur.photos.writing import write_photo
from unblur.recipes.smoke import smoke

FAST = ("--mode", "fast", "-r")
NAMES = ("0.jpg", "inside/1 % ä.png", "inside/2.jpg", "3.png")


def write_photos(folder: Path, names: tuple[str, ...] = NAMES) -> None:
    for number, name in enumerate(names):
        coarse = np.random.default_rng(number).integers(0, 255, (6, 8, 3), dtype=np.uint8)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_photo(Photo(pixels=coarse.repeat(12, 0).repeat(12, 1)), folder / name)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals") / "in"
    write_photos(folder)
    (folder / "bad.jpg").write_bytes(b"no photograph")
    return folder


@pytest.fixture(scope="module")
def expected(originals: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Results of one machine, by their names."""
    output = tmp_path_factory.mktemp("expected")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    assert main(["restore", str(originals), "-o", str(output), *FAST, "--compare", "-q"]) == 1
    torch.set_num_threads(before)
    return contents(output)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def results(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(folder).items() if not name.startswith(MANIFEST_FOLDER)}


def records(parts: list[bytes]) -> list[dict[str, Any]]:
    """The lines about photographs in the parts of a manifest, which are sorted."""
    lines = [json.loads(line) for part in parts for line in part.splitlines()]
    return [line for line in lines if "run" not in line]


class OneProcess:
    """The work of a cluster, done in this process, for laws that are not about Ray."""

    accelerators = 0
    cores = 2

    def __init__(self) -> None:
        self.workers: list[type] = []
        """The classes of the workers, one for each call of `map`."""
        self.backwards = False
        """True to process the items from the last to the first."""
        self.restored: list[str] = []
        self.ends_after: int | None = None
        """Number of photographs after which the command is killed, after it wrote one more result."""

    def map(self, worker: type, arguments: tuple[Any, ...], items: Iterable[dict[str, Any]], **_: Any) -> Iterator[Any]:
        self.workers.append(worker)
        actor = worker(*pickle.loads(pickle.dumps(arguments)))
        for number, item in enumerate(reversed(list(items)) if self.backwards else items):
            answer = actor(item)
            if "job" in item:
                self.restored.append(pickle.loads(item["job"]).source.key)
            if number == self.ends_after:
                raise KeyboardInterrupt
            yield answer


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> OneProcess:
    one = OneProcess()

    @contextmanager
    def connect(_address: str) -> Iterator[OneProcess]:
        yield one

    monkeypatch.setattr(restore_command, "connect_to_ray", connect)
    monkeypatch.setattr(cluster_evaluate, "connect_to_ray", connect)
    return one


def test_results_are_those_of_one_machine_and_a_second_run_does_nothing(
    originals: Path, expected: dict[str, bytes], process: OneProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["restore", str(originals), "-o", str(tmp_path / "out"), *FAST, "--compare", "--ray"]
    assert main(command) == 1
    assert results(tmp_path / "out") == expected
    assert "bad.jpg" in capsys.readouterr().err
    done = {record["input"].rpartition("/")[2]: record for record in manifest(tmp_path / "out")}
    assert [name for name, record in done.items() if record["status"] == "failed"] == ["bad.jpg"]
    assert len(done) == len(NAMES) + 1
    times = modified(tmp_path / "out")
    process.restored.clear()
    assert main(command) == 1
    assert process.restored == ["bad.jpg"]
    assert modified(tmp_path / "out") == times
    assert f"{len(NAMES)} of {len(NAMES) + 1} photographs were restored by an earlier run" in capsys.readouterr().err


def manifest(output: Path) -> list[dict[str, Any]]:
    return records([part.read_bytes() for part in sorted((output / MANIFEST_FOLDER).iterdir())])


def modified(output: Path) -> dict[str, int]:
    return {name: (output / name).stat().st_mtime_ns for name in results(output)}


def test_an_interrupted_run_continues_and_writes_nothing_twice(
    originals: Path, expected: dict[str, bytes], process: OneProcess, tmp_path: Path
) -> None:
    command = ["restore", str(originals), "-o", str(tmp_path), *FAST, "--compare", "-q", "--ray"]
    process.ends_after = 2
    assert main(command) == 130
    times = modified(tmp_path)
    assert 0 < len(times) < len(expected)
    process.ends_after = None
    in_hand = process.restored[-1]
    process.restored.clear()
    assert main(command) == 1
    # Its result was written and not recorded: it is recognised.
    assert in_hand in process.restored
    assert len(process.restored) < len(NAMES) + 1
    assert results(tmp_path) == expected
    assert {name: modified(tmp_path)[name] for name in times} == times


@pytest.mark.usefixtures("process")
def test_what_changed_is_restored_again_only_if_it_may_be_replaced(
    originals: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.jpg").write_bytes((originals / "0.jpg").read_bytes())
    command = ["restore", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--mode", "fast", "--ray", "--quiet"]
    assert main(command) == 0
    before = results(tmp_path / "out")
    assert main([*command, "--compare"]) == 0
    assert results(tmp_path / "out").items() > before.items()
    assert main([*command, "--strength", "0.5"]) == 1
    assert "is there already; add --overwrite" in capsys.readouterr().err
    assert main([*command, "--strength", "0.5", "--skip-existing"]) == 0
    write_photos(tmp_path / "in", ("0.jpg", "0.jpg"))
    assert main(command) == 1
    assert results(tmp_path / "out").items() >= before.items()
    assert main([*command, "--overwrite"]) == 0
    assert results(tmp_path / "out")["0_unblurred_fast.jpg"] != before["0_unblurred_fast.jpg"]


def test_foreign_files_stay_and_cost_no_work(originals: Path, process: OneProcess, tmp_path: Path) -> None:
    (tmp_path / "3_unblurred_fast.png").write_bytes(b"foreign")
    command = ["restore", str(originals / "3.png"), "-o", str(tmp_path), "--mode", "fast", "--ray", "-q"]
    for _ in range(2):
        assert main(command) == 1
        assert (results(tmp_path), process.restored) == ({"3_unblurred_fast.png": b"foreign"}, [])


def test_an_error_of_all_photographs_ends_the_batch_in_a_sentence(
    originals: Path, process: OneProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["restore", str(originals), "-o", str(tmp_path / "out"), "--ray", "--checkpoint", str(tmp_path)]
    assert main(command) == 2
    assert "No checkpoint at" in capsys.readouterr().err
    assert process.restored == ["0.jpg"]


def test_another_version_on_the_cluster_is_an_error(originals: Path, tmp_path: Path) -> None:
    output = open_storage(str(tmp_path))
    (job,) = plan(str(originals / "3.png"), str(tmp_path))
    work = cluster_restore.ClusterWork.choose(make_choice(), make_settings(), output)
    worker = RestoringWorker(replace(work, unblur_version="0.0.0", threads=torch.get_num_threads()))
    answer = worker({"number": 0, "job": pickle.dumps(job)})
    assert "install the same version" in answer["problem"]


def test_workers_use_as_many_threads_as_one_machine_would(tmp_path: Path) -> None:
    """Networks in bfloat16 round differently with another number of threads, which changes some pixels."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        work = cluster_restore.ClusterWork.choose(make_choice(), make_settings(), open_storage(str(tmp_path)))
        torch.set_num_threads(1)
        RestoringWorker(work)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_other_computers_get_paths_and_commits_that_stay(
    originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()
    monkeypatch.setattr(cluster_restore, "fetch_checkpoint", lambda _name: tmp_path / ("c" * 40))
    for given, sent in (("tiny", str(tmp_path / "tiny")), ("owner/name@main", f"owner/name@{'c' * 40}"), (None, None)):
        choice = replace(make_choice(), checkpoint=given, generative=GenerativeOptions(decoder=given))
        work = cluster_restore.ClusterWork.choose(choice, make_settings(), open_storage(str(originals)))
        assert (work.choice.checkpoint, work.choice.generative.decoder) == (sent, sent)


def make_choice() -> RestorerChoice:
    return RestorerChoice(
        mode="fast", checkpoint=None, device="cpu", shake="off", runtime="torch", generative=GenerativeOptions()
    )


def make_settings() -> JobSettings:
    return JobSettings(mode="fast")


def plan(address: str, output: str, *, extension: str = "same", suffix: str = "_unblurred") -> list[Any]:
    return plan_stored_jobs(
        [address],
        open_storage(output),
        recursive=True,
        suffix=suffix,
        extension=extension,
        compare=True,
        uncertainty=True,
    )


@pytest.mark.parametrize("extension", ["same", "png"])
def test_names_are_those_of_one_machine(tmp_path: Path, extension: str) -> None:
    for name in (".hidden.jpg", ".folder/4.jpg", "0_unblurred.jpg", "notes.txt", "raw.DNG", "inside/phone.HEIC"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"x")
    write_photos(tmp_path / "in")
    output = tmp_path / "in" / "results"
    write_photos(output, ("5.jpg",))
    local = plan_jobs(
        [str(tmp_path / "in")],
        output=str(output),
        recursive=True,
        suffix="_unblurred",
        extension=extension,
        compare=True,
        uncertainty=True,
    )
    stored = plan(str(tmp_path / "in"), str(output), extension=extension)
    assert len(stored) == len(NAMES) + 2
    assert {one.input_name: [str(output / target) for target in one.targets] for one in stored} == {
        str(job.source): [str(target) for target in job.targets] for job in local
    }


def test_originals_and_shared_names_are_refused(originals: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="overwritten by its result"):
        plan(str(originals), str(originals), suffix="")
    write_photos(tmp_path, ("a.jpg", "a.png"))
    with pytest.raises(UsageError, match="would both be written to"):
        plan(str(tmp_path), str(tmp_path / "out"), extension="png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no photographs"):
        plan(str(tmp_path / "empty"), str(tmp_path / "out"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["in", "--ray"], "add -o"),
        (["in", "-o", "out", "--ray", "--watch"], "--watch has no meaning"),
        (["in", "-o", "out", "--ray", "--report", "a.html"], "--report has no meaning"),
        (["-", "-o", "out", "--ray"], "stdin or stdout"),
        (["in", "-o", "-", "--ray"], "stdin or stdout"),
        (["-o", "out", "--ray", "s3://bucket/in"], "name the photographs before --ray"),
        (["s3://bucket/in", "-o", "out"], "needs --ray"),
        (["in", "-o", "s3://bucket/out"], "needs --ray"),
        (["in", "-o", "memory://out", "--ray"], "one process only"),
        (["in", "-o", "nothing://out", "--ray"], "cannot be opened"),
        (["in", "-o", "s3://", "--ray"], "names no folder"),
        (["nowhere", "-o", "out", "--ray"], "no photograph and no folder"),
        (["in", "-o", "out", "--ray", "--jobs", "0"], "--jobs 0 restores nothing"),
    ],
)
def test_options_without_a_meaning_are_refused(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["restore", *words]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999999999"])
def test_a_cluster_that_does_not_answer_is_one_sentence(
    address: str, originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray.data")
    monkeypatch.chdir(tmp_path)
    assert main(["restore", str(originals), "-o", "out", "--ray", address]) == 2
    said = capsys.readouterr().err
    assert f"The Ray cluster {address} cannot be reached" in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_without_ray_the_extra_is_named(
    originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["restore", str(originals), "-o", str(tmp_path / "out"), "--ray"]) == 2
    assert "pip install 'unblur[cluster]'" in capsys.readouterr().err


def test_a_graphics_card_is_used_if_the_cluster_has_one() -> None:
    without = RayCluster(None, None, cores=2, most_cores=2, accelerators=0)
    having = replace(without, accelerators=4)
    assert wants_accelerator(having, "auto")
    assert wants_accelerator(having, "cuda")
    assert not wants_accelerator(having, "cpu")
    assert not wants_accelerator(without, "auto")
    with pytest.raises(UnblurError, match="no graphics card"):
        wants_accelerator(without, "cuda")


def test_the_speed_of_a_cluster_is_measured_on_true_photographs(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = []

    @contextmanager
    def connect(_address: str) -> Iterator[OneProcess]:
        processes.append(OneProcess())
        yield processes[-1]

    monkeypatch.setattr(cluster_speed, "connect_to_ray", connect)
    speed = cluster_speed.measure_cluster_speed(torch.randint(256, (3, 64, 64), dtype=torch.uint8), 3)
    assert processes[0].restored == ["0.png", "1.png", "2.png"] * 2
    assert min(speed.one_process, speed.one_worker, speed.all_workers, speed.start_s, speed.item_s) > 0


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """A bucket of a fake S3 that keeps all versions of an object, so that each writing of it counts."""
    boto3 = pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        made = boto3.resource("s3").Bucket("museum")
        made.create()
        made.Versioning().enable()
        yield made
    server.stop()


@pytest.fixture(scope="module")
def cluster(bucket: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a cluster with room for two actors; starting it takes longer than the tests."""
    pytest.importorskip("ray.data")
    from ray.cluster_utils import Cluster

    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))  # Ray leaves a token there.
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("AWS_ENDPOINT_URL", bucket.meta.client.meta.endpoint_url)
        torch.set_num_threads(1)
        started = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 2, "object_store_memory": ray_cluster.OBJECT_STORE_BYTES},
        )
        yield started.address
        started.shutdown()
        torch.set_num_threads(before)


def versions(bucket: Any, prefix: str) -> dict[str, list[bytes]]:
    """The contents of all versions of the objects of a folder."""
    found: dict[str, list[bytes]] = {}
    for version in bucket.object_versions.filter(Prefix=prefix):
        found.setdefault(version.object_key.removeprefix(prefix), []).append(version.get()["Body"].read())
    return found


def ending_worker(tries_folder: Path) -> type:
    """Return a worker that is killed: once before 0.jpg, once after 3.png is written, and always by inside/2.jpg."""

    # A class of a function is pickled whole; the workers cannot import this file.
    class EndingWorker(RestoringWorker):
        def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
            key = pickle.loads(row["job"]).source.key
            tries = self.count_tries(key)
            if key == "inside/2.jpg" or (key == "0.jpg" and tries == 1):
                os.kill(os.getpid(), signal.SIGKILL)
            answer = super().__call__(row)
            if key == "3.png" and tries == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        def count_tries(self, key: str) -> int:
            with (tries_folder / key.replace("/", "-")).open("a") as file:
                file.write("x")
            return (tries_folder / key.replace("/", "-")).stat().st_size

    return EndingWorker


@pytest.mark.slow
def test_killed_workers_cost_what_they_had_in_hand(
    originals: Path,
    expected: dict[str, bytes],
    bucket: Any,
    cluster: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, data in contents(originals).items():
        bucket.put_object(Key=f"in/{name}", Body=data)
    command = ["restore", "s3://museum/in", "-o", "s3://museum/out", *FAST, "--compare", "--ray", cluster]
    with monkeypatch.context() as patch:
        patch.setattr(cluster_restore, "RestoringWorker", ending_worker(tmp_path))
        # Every try needs another process.
        for module in (ray_cluster, cluster_restore):
            patch.setattr(module, "MOST_TRIES", 2)
        # Two waves, the second of one photograph.
        patch.setattr(ray_cluster, "ITEMS_PER_WAVE", 2)
        assert main(command) == 1
    printed = capsys.readouterr()
    assert "2 of 5 photographs could not be restored" in printed.err
    assert "s3://museum/in/inside/2.jpg: The process that restored it was ended 2 times" in printed.err
    assert "s3://museum/in/bad.jpg is a file of an unknown kind" in printed.err
    assert "s3://museum/in/0.jpg -> s3://museum/out/0_unblurred_fast.jpg" in printed.out

    tries = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert tries == {"0.jpg": 2, "3.png": 2, "bad.jpg": 1, "inside-1 % ä.png": 1, "inside-2.jpg": 2}

    assert main([*command, "--jobs", "1"]) == 1
    assert "3 of 5 photographs were restored by an earlier run" in capsys.readouterr().err
    written = versions(bucket, "out/")
    parts = [content for name in sorted(written) if name.startswith(MANIFEST_FOLDER) for content in written.pop(name)]
    assert written == {name: [data] for name, data in expected.items()}
    last = {record["output"]: record for record in records(parts)}
    assert [name for name, record in last.items() if record["status"] == "failed"] == ["bad_unblurred_fast.jpg"]
    for record in last.values():
        for file in record["files"]:
            assert len(expected[file["key"]]) == file["size"]


@pytest.fixture
def pairs(originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a small data set, as a path relative to the present folder."""
    monkeypatch.chdir(tmp_path)
    for kind in ("blurry", "sharp"):
        for number, name in enumerate(NAMES):
            (tmp_path / "pairs" / kind).mkdir(parents=True, exist_ok=True)
            photo = read_photo(originals / name)
            pixels = photo.pixels if kind == "sharp" else np.roll(photo.pixels, 1, 0) // 2 + photo.pixels // 2
            write_photo(Photo(pixels=pixels), tmp_path / "pairs" / kind / f"{number}.png")
    return Path("pairs")


def evaluate(pairs: Path, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """All that `unblur evaluate` prints, counts and writes, except for times."""
    command = ["evaluate", str(pairs), "--method", "fast", "--device", "cpu", "--restored", "pictures", *words]
    assert main([*command, "--csv", "tables"]) == 0
    # The last column is the time.
    printed = [line.rpartition(" | ")[0] for line in capsys.readouterr().out.splitlines()]
    with Path("tables/pairs-fast.csv").open() as file:
        rows = [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]
    assert len(rows) == len(NAMES)
    pictures = contents(Path("pictures"))
    for folder in ("tables", "pictures"):
        shutil.rmtree(folder)
    return printed, rows, pictures


@pytest.mark.slow
def test_a_cluster_measures_the_same_numbers(pairs: Path, cluster: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = evaluate(pairs, capsys)
    assert evaluate(pairs, capsys, "--ray", cluster, "--workers", "1") == expected


def test_the_order_in_which_pictures_are_measured_changes_no_number(
    pairs: Path, process: OneProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process.backwards = True
    expected = evaluate(pairs, capsys)
    assert evaluate(pairs, capsys, "--ray") == expected
    assert process.workers == [MeasuringWorker]
    # The same for the rows of experiments.
    sets = [BenchmarkSet(name="pairs", source=None, measured=find_pictures(pairs))]
    cells = []
    for number, ray in enumerate((None, "local")):
        context = RowContext(recipe=smoke(), photos=None, output=tmp_path / f"rows{number}", ray=ray)
        (context.output / "tables").mkdir(parents=True)
        cells.append(measure_row(context, "bundled", BUNDLED_FAITHFUL, sets))
    assert process.workers == [MeasuringWorker] * 2
    assert cells[0] == cells[1]
    assert cells[0]["pairs"].images == len(NAMES)
