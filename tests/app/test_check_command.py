"""`unblur check`, `unblur datasets`, and `unblur evaluate` on a data set in its authors' layout."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unblur.app.cli import main
from unblur.datasets.catalogue import CATALOGUE

Save = Callable[..., None]


@pytest.fixture
def save() -> Save:
    """Write a part of a scene, which begins at `right` and `down`."""
    coarse = np.random.default_rng(0).integers(0, 256, (22, 24, 3), np.uint8)
    scene = Image.fromarray(coarse).resize((240, 220), Image.Resampling.BICUBIC)

    def write(path: Path, *, right: int = 40, down: int = 40, width: int = 120, height: int = 100) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        scene.crop((right, down, right + width, down + height)).save(path)

    return write


def test_a_sound_data_set(save: Save, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.png", "b.png"):
        for side in ("blurry", "sharp"):
            save(tmp_path / "pairs" / side / name)
    assert main(["check", str(tmp_path / "pairs"), "--json", str(tmp_path / "found.json")]) == 0
    printed = capsys.readouterr().out
    assert "pairs: Any folder, layout: blurry/ and sharp/" in printed
    assert "all: 2 pairs, how many there should be is not known" in printed
    assert "median 0.0 px, more than 0.5 px in 0 of 2" in printed
    assert printed.endswith("Nothing is wrong.\n")
    found = json.loads((tmp_path / "found.json").read_text())
    assert [shift["pair"] for shift in found["splits"][0]["shifts"]] == ["a.png", "b.png"]
    assert found["extra"] == []


def test_every_error_of_a_data_set_is_reported(save: Save, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sequence = tmp_path / "test" / "GOPR0384_11_00"
    for number in range(1, 8):
        for side in ("blur", "sharp"):
            save(sequence / side / f"00000{number}.png")
    (sequence / "sharp" / "000001.png").unlink()
    save(sequence / "blur" / "000002.png", height=90)
    whole = (sequence / "sharp" / "000003.png").read_bytes()
    (sequence / "sharp" / "000003.png").write_bytes(whole[: len(whole) // 2])
    save(sequence / "blur" / "000004.png", right=20, down=50)
    save(sequence / "blur" / "000005.png", right=38)
    save(sequence / "sharp copy" / "000006.png")

    assert main(["check", str(tmp_path), "--json", str(tmp_path / "found.json")]) == 1

    printed = capsys.readouterr().out
    for said in (
        "GoPro, layout: the authors' own",
        "test: 6 of 1111 pairs  <- wrong",
        "  missing: 1\n    the sharp twin of test/GOPR0384_11_00/blur/000001.png",
        "  of unequal size: 1\n    GOPR0384_11_00-000002.png: 120 x 90 and 120 x 100",
        "  unreadable: 1\n",
        "sharp/000003.png is damaged or cut short",
        "more than 0.5 px in 2 of 4, at most 2",
        "  misaligned, or not of the same scene: 1\n    GOPR0384_11_00-000004.png: +",
        "not there, and not needed for the rest: train, train-gamma, test-gamma",
        "extra, in no pair: 1\n  test/GOPR0384_11_00/sharp copy/000006.png",
        "Something is wrong, see above.",
    ):
        assert said in printed, printed
    shifts = {s["pair"][-10:]: s for s in json.loads((tmp_path / "found.json").read_text())["splits"][0]["shifts"]}
    assert shifts["000004.png"]["right_px"] == pytest.approx(20, abs=1.5)
    assert shifts["000004.png"]["down_px"] == pytest.approx(-10, abs=1.5)
    assert shifts["000005.png"]["right_px"] == pytest.approx(2, abs=0.3)
    assert [name for name, shift in shifts.items() if shift["misaligned"]] == ["000004.png"]


def test_quick_opens_no_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for side in ("blurry", "sharp"):
        (tmp_path / side).mkdir()
        for number in range(9):
            (tmp_path / side / f"{number}.png").write_bytes(b"no picture at all")
    assert main(["check", str(tmp_path), "--quick"]) == 0
    assert capsys.readouterr().out.endswith("Nothing is wrong. No picture was opened.\n")
    assert main(["check", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "unreadable: 18" in printed
    assert "... and 13 more" in printed


def test_photographs_without_truth_are_read_too(save: Save, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    assert main(["check", str(tmp_path), "--as", "rwbi"]) == 1
    printed = capsys.readouterr().out
    assert "all: 2 photographs" in printed
    assert "b.png is empty" in printed
    assert "shift" not in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{}/nowhere"], "There is no folder"),
        (["{}"], "not have the layout of a known data set"),
        (["{}", "--as", "gropo"], "There is no data set gropo"),
        (["{}", "--as", "gopro"], "does not have the layout of GoPro"),
        (["{}", "--json", "{}/nowhere/found.json"], "make the folder first"),
    ],
)
def test_wrong_usage_is_reported_in_one_sentence(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *(word.format(tmp_path) for word in arguments)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_data_sets_are_listed_with_their_licences(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets"]) == 0
    printed = capsys.readouterr().out
    table, *paragraphs = printed.split("\n\n")
    assert len(table.splitlines()) == 1 + len(CATALOGUE) == 1 + len(paragraphs)
    for data_set, line, paragraph in zip(CATALOGUE, table.splitlines()[1:], paragraphs, strict=True):
        assert line.startswith(data_set.name)
        assert data_set.licence.partition(" (")[0] in line
        assert paragraph.startswith(data_set.title)
        assert data_set.where in paragraph
    assert max(map(len, printed.splitlines())) <= 100


def test_a_data_set_is_evaluated_in_its_original_layout(
    save: Save, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split, sequence in (("train", "GOPR0372_07_00"), ("test", "GOPR0384_11_00"), ("test", "GOPR0385_11_01")):
        for side in ("blur", "blur_gamma", "sharp"):
            save(tmp_path / "GOPRO_Large" / split / sequence / side / "000001.png", right=42 if side == "blur" else 40)
    command = ["evaluate", str(tmp_path / "GOPRO_Large"), "--checkpoint", str(tiny_checkpoint), "--device", "cpu"]
    tables = tmp_path / "tables"
    assert main([*command, "--csv", str(tables)]) == 0
    assert "GOPRO_Large: GoPro test, 2 of 1111 pairs, protocol gopro-v1" in capsys.readouterr().out
    with (tables / "GOPRO_Large.csv").open() as file:
        assert [row["image"] for row in csv.DictReader(file)] == [
            "GOPR0384_11_00-000001.png",
            "GOPR0385_11_01-000001.png",
        ]
    assert main([*command, "--csv", str(tables), "--split", "train-gamma"]) == 0
    assert "GoPro train-gamma, 1 of 2103 pairs" in capsys.readouterr().out
    with (tables / "GOPRO_Large-train-gamma.csv").open() as file:
        assert [row["psnr_before_db"] for row in csv.DictReader(file)] == ["inf"]
    assert main([*command, "--split", "val"]) == 2
    assert "has no split val; it has train, train-gamma, test, test-gamma" in capsys.readouterr().err
