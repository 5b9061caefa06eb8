"""`train`, `validation` and `evaluate`, one after the other, as a researcher types them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from unblur.app.cli import main
from unblur.photos.photo import Photo
from unblur.photos.reading import read_photo
from unblur.photos.writing import write_photo


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for number in range(2):
        coarse = np.random.default_rng(number).integers(0, 255, (14, 16, 3), dtype=np.uint8)
        pixels = coarse.repeat(10, 0).repeat(10, 1)
        write_photo(Photo(pixels=pixels), tmp_path / "photos" / f"photo{number}.png")
    return tmp_path / "photos"


def test_the_whole_chain(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, pairs, tables = tmp_path / "run", tmp_path / "pairs", tmp_path / "tables"
    assert main(["train", "smoke", "--photos", str(photos), "--run", str(run), "--steps", "3", "--device", "cpu"]) == 0
    assert main(["validation", str(photos), "-o", str(pairs)]) == 0
    assert len(list((pairs / "blurry").iterdir())) == len(list((pairs / "sharp").iterdir())) == 8
    assert json.loads((pairs / "settings.json").read_text())["version"] == 2
    assert read_photo(pairs / "blurry" / "light_photo0.png").pixels.shape == (140, 160, 3)
    command = ["evaluate", str(pairs), str(photos), "--checkpoint", str(run), "--csv", str(tables), "--device", "cpu"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "| severe | 2 |" in printed
    assert "| all | 8 |" in printed
    with (tables / "pairs.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 8
    with (tables / "photos.csv").open() as file:
        assert {row["psnr_before_db"] for row in csv.DictReader(file)} == {"inf"}


def test_longer_blur_is_a_set_of_its_own(photos: Path, tmp_path: Path) -> None:
    assert main(["validation", str(photos), "-o", str(tmp_path / "long"), "--long"]) == 0
    names = {path.name for path in (tmp_path / "long" / "blurry").iterdir()}
    assert names == {f"{severity}_photo{number}.png" for severity in ("long", "longest") for number in range(2)}
    settings = json.loads((tmp_path / "long" / "settings.json").read_text())
    assert settings["severities"] == [["long", 32.0], ["longest", 64.0]]
    # Blur that is longer leaves less of the difference between neighbours.
    for number in range(2):
        long, longest = (
            read_photo(tmp_path / "long" / "blurry" / f"{severity}_photo{number}.png").pixels.astype(float)
            for severity in ("long", "longest")
        )
        assert longest.std() < long.std()


def test_the_still_set_has_noise_and_no_blur(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validation", str(photos), "-o", str(tmp_path / "still"), "--still"]) == 0
    for number in range(2):
        sharp, blurry = (
            read_photo(tmp_path / "still" / kind / f"still_photo{number}.png").pixels.astype(float)
            for kind in ("sharp", "blurry")
        )
        assert not np.array_equal(sharp, blurry)
        # Edges are where they were: a pixel of blur would take more from them than noise adds.
        moved = np.abs(np.diff(sharp, axis=1)).mean() - np.abs(np.diff(blurry, axis=1)).mean()
        assert moved < 0.05 * np.abs(np.diff(sharp, axis=1)).mean()
    assert main(["validation", str(photos), "-o", str(tmp_path / "both"), "--still", "--long"]) == 2
    assert "one after the other" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["train", "smoke", "--photos", "{}/nowhere", "--run", "{}/run"], "no folder"),
        (["validation", "{}/nowhere", "-o", "{}/pairs"], "no folder"),
        (["evaluate", "{}/nowhere", "--checkpoint", "{}/none"], "No checkpoint"),
    ],
)
def test_missing_inputs_are_reported_in_one_sentence(
    tmp_path: Path, command: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word.format(tmp_path) for word in command]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_an_unknown_recipe_is_wrong_usage(tmp_path: Path) -> None:
    assert main(["train", "no-such", "--photos", str(tmp_path), "--run", str(tmp_path / "run")]) == 2
