"""Runs stopped and gone on with, by one process and by two, give the same rows."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unblur.datasets.pair_files import PairFiles, Picture
from unblur.errors import UnblurError
from unblur.evaluation.measure import NamedFiles
from unblur.evaluation.method import MethodSpec, from_function, open_method
from unblur.evaluation.protocol import NO_REFERENCE, PAIRS, REALBLUR
from unblur.evaluation.row import Row, to_csv
from unblur.evaluation.run import Progress, Run
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[[int], Run]:
    """A run of the unsharp mask over that many pairs."""

    def make(count: int) -> Run:
        named = []
        for number in range(count):
            coarse = np.random.default_rng(number).integers(0, 255, (8, 9, 3), dtype=np.uint8)
            sharp = coarse.repeat(5, 0).repeat(5, 1)
            blurry = (0.5 * sharp + 0.5 * np.roll(sharp, 2, 1)).astype(np.uint8)
            for kind, pixels in (("sharp", sharp), ("blurry", blurry)):
                (tmp_path / kind).mkdir(exist_ok=True)
                write_photo(Photo(pixels=pixels), tmp_path / kind / f"{number}.png")
            files = PairFiles(
                name=f"{number}.png",
                blurry=Picture(path=tmp_path / "blurry" / f"{number}.png"),
                sharps=(Picture(path=tmp_path / "sharp" / f"{number}.png"),),
            )
            named.append(NamedFiles(image=files.name, files=files))
        return Run(data_set="test", files=tuple(named), choice=MethodSpec(method="unsharp"), protocol=PAIRS)

    return make


def timeless(rows: list[Row]) -> str:
    return to_csv([replace(row, seconds=0.0) for row in rows])


def opened(run: Run, partial: Path | None = None) -> Progress:
    return Progress(run, open_method(run.choice), partial)


def complete(run: Run, partial: Path | None = None, workers: int = 1) -> Progress:
    progress = opened(run, partial)
    for _ in progress.rows(workers):
        pass
    return progress


@pytest.mark.parametrize("cut", [0, 1, 40])
def test_a_killed_run_continues(make_run: Callable[[int], Run], tmp_path: Path, cut: int) -> None:
    run, partial = make_run(4), tmp_path / "partial"
    whole = timeless(complete(run).finished)
    stopped = opened(run, partial).rows()
    next(stopped), next(stopped)
    stopped.close()
    data = partial.read_bytes()
    partial.write_bytes(data[: len(data) - cut])
    before = partial.read_bytes()
    again = opened(run, partial)
    left = 2 if cut == 0 else 1
    assert len(again.finished) == left
    # Only what is missing is measured.
    assert [row.image for row in again.rows()] == [f"{number}.png" for number in range(left, 4)]
    assert timeless(again.finished) == whole
    assert partial.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    assert timeless(complete(run, partial).finished) == whole


@pytest.mark.parametrize("left", [b"", b"image,hei", "header"])
def test_a_partial_file_without_rows_is_begun_again(
    make_run: Callable[[int], Run], tmp_path: Path, left: bytes
) -> None:
    run, partial = make_run(2), tmp_path / "partial"
    complete(run, partial)
    written = partial.read_bytes()
    header = written[: written.index(b"\n") + 1]
    partial.write_bytes(header if left == "header" else left)
    complete(run, partial)
    assert partial.read_bytes().count(header) == 1
    assert len(opened(run, partial).finished) == 2


def test_a_partial_file_of_another_run_is_refused(make_run: Callable[[int], Run], tmp_path: Path) -> None:
    run, partial = make_run(2), tmp_path / "partial"
    next(opened(run, partial).rows())
    others = {
        "another protocol, pairs-v1 and not realblur-v1": replace(run, protocol=REALBLUR),
        "another method, unsharp and not identity": replace(run, choice=MethodSpec(method="identity")),
        "another pictures": replace(run, files=run.files[:1]),
    }
    for said, other in others.items():
        with pytest.raises(UnblurError, match=said):
            opened(other, partial)
    partial.write_text("something else\n1\n")
    with pytest.raises(UnblurError, match="is not a CSV"):
        opened(run, partial)


def test_other_pictures_under_the_same_names_are_another_run(make_run: Callable[[int], Run], tmp_path: Path) -> None:
    run, partial = make_run(2), tmp_path / "partial"
    next(opened(run, partial).rows())
    write_photo(Photo(pixels=np.zeros((40, 45, 3), np.uint8)), run.files[1].files.blurry.path)
    with pytest.raises(UnblurError, match="another pictures"):
        opened(run, partial)


def test_finished_rows_are_accepted_only_when_they_are_this_run(make_run: Callable[[int], Run]) -> None:
    run = make_run(2)
    rows = complete(run).finished
    assert opened(run).accept(rows)
    assert not opened(run).accept(rows[:1])
    assert not opened(replace(run, protocol=REALBLUR)).accept(rows)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_unreadable_picture_is_named_and_the_other_rows_are_preserved(
    make_run: Callable[[int], Run], tmp_path: Path, workers: int
) -> None:
    run, partial = make_run(3), tmp_path / "partial"
    run.files[2].files.sharps[0].path.write_bytes(b"no picture")
    with pytest.raises(UnblurError, match=r"2\.png"):
        complete(run, partial, workers)
    if workers == 1:
        assert len(opened(run, partial).finished) == 2


def test_a_python_function_is_a_method_too(make_run: Callable[[int], Run]) -> None:
    run = make_run(2)
    progress = Progress(run, from_function("mirror", lambda blurry: blurry[:, ::-1].copy()))
    rows = list(progress.rows())
    assert [row.conditions.method for row in rows] == ["mirror"] * 2
    assert all(row.gain_db < 0 for row in rows)
    with pytest.raises(UnblurError, match="must give a picture of the same size"):
        list(Progress(run, from_function("half", lambda blurry: blurry[::2])).rows())


def test_no_workers_are_refused(make_run: Callable[[int], Run]) -> None:
    with pytest.raises(UnblurError, match="at least 1"):
        complete(make_run(1), workers=0)


def test_without_reference_the_change_and_no_reference_metrics_are_measured(make_run: Callable[[int], Run]) -> None:
    run = replace(make_run(1), protocol=NO_REFERENCE)
    run.files[0].files.sharps[0].path.unlink()
    (row,) = complete(run).finished
    guesses = [f"{name}_{when}" for name in ("niqe", "brisque", "piqe") for when in ("before", "after")]
    assert list(row.scores) == ["change_after", *guesses]
    assert 0 < row.scores["change_after"] < 0.2
    (same,) = complete(replace(run, choice=MethodSpec(method="identity"))).finished
    assert same.scores["change_after"] == 0


def test_pictures_restored_elsewhere_are_measured_by_their_names(
    make_run: Callable[[int], Run], tmp_path: Path
) -> None:
    run = make_run(2)
    folder = tmp_path / "theirs"
    folder.mkdir()
    choice = MethodSpec(method=str(folder))
    with pytest.raises(UnblurError, match="holds no pictures"):
        opened(replace(run, choice=choice))
    for number in range(2):
        sharp = (tmp_path / "sharp" / f"{number}.png").read_bytes()
        (folder / f"{number}.png").write_bytes(sharp)
    rows = complete(replace(run, choice=choice)).finished
    assert [row.scores["psnr_after_db"] for row in rows] == [float("inf")] * 2
    assert rows[0].conditions.method == "theirs"
    # Other pictures in the same folder are another result, never taken for this one.
    before = opened(replace(run, choice=choice))
    write_photo(Photo(pixels=np.zeros((40, 45, 3), np.uint8)), folder / "1.png")
    assert before.accept(rows)
    assert not opened(replace(run, choice=choice)).accept(rows)
    (folder / "1.png").unlink()
    with pytest.raises(UnblurError, match="no picture called 1"):
        complete(replace(run, choice=choice))
    write_photo(Photo(pixels=np.zeros((9, 9, 3), np.uint8)), folder / "1.png")
    with pytest.raises(UnblurError, match="same size"):
        complete(replace(run, choice=choice))


def test_an_unknown_method_is_refused(make_run: Callable[[int], Run]) -> None:
    with pytest.raises(UnblurError, match="There is no method magic; give faithful, network, fast, generative"):
        opened(replace(make_run(1), choice=MethodSpec(method="magic")))


def test_a_pipe_in_the_place_of_the_partial_file_is_refused(make_run: Callable[[int], Run], tmp_path: Path) -> None:
    run, partial = make_run(1), tmp_path / "table.csv.partial"
    os.mkfifo(partial)
    with pytest.raises(UnblurError, match="named pipe"):
        Progress(run, open_method(run.choice), partial)
