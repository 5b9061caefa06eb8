"""The paper's tables as commands, on sets so small that they show only that everything works together."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from experiments.blur_pretraining import blur_pretraining
from experiments.cross_dataset import cross_dataset
from experiments.harness import run
from experiments.severity import severity
from unblur.evaluation.row import read_rows

TINY = ["--steps", "2", "--patch", "32", "--batch", "2", "--test-pairs", "5", "--size", "48", "--device", "cpu"]


@pytest.mark.slow
def test_rows_are_made_once_and_grouped_by_severity(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "study"
    options = ["--photos", str(photos), "--held-out", str(photos), "-o", str(output), *TINY]
    assert run(cross_dataset, ["gopro", *options]) == 0
    log = output / "runs" / "gopro" / "metrics.jsonl"
    first = log.read_text()
    # A set more: what is finished stays as it is, seconds and all.
    real = output / "sets" / "gopro"
    assert run(cross_dataset, ["gopro", "full", f"{real}@folder", *options]) == 0
    assert log.read_text() == first
    assert {path.name for path in (output / "runs").iterdir()} == {"gopro", "full", "folder"}
    recipe = json.loads((output / "runs" / "folder" / "recipe.json").read_text())
    assert [part["kind"] for part in recipe["data"]["extra_sources"]] == ["PairSet"]

    cells = list(csv.DictReader((output / "cross-dataset.csv").read_text().splitlines()))
    assert len(cells) == 9
    for cell in cells:
        rows = read_rows(output / "tables" / f"{cell['trained_on']}-on-{cell['measured_on']}.csv")
        mean = np.mean([row.scores["psnr_after_db"] for row in rows])
        assert float(cell["psnr_after_db"]) == pytest.approx(mean, abs=1e-4)
        assert int(cell["images"]) == len(rows) == (1 if cell["measured_on"] == "folder" else 5)
    printed = capsys.readouterr().out
    assert "each row trained for 2 steps of 2 patches of 32 px" in printed
    assert printed.endswith((output / "cross-dataset.md").read_text())

    tables = [str(output / "tables" / f"{row}-on-gopro.csv") for row in ("gopro", "full")]
    plot = tmp_path / "severity.png"
    assert run(severity, [*tables, "--motion", str(real), "--plot", str(plot)]) == 0
    printed = capsys.readouterr().out
    assert "| fifth | PSNR before, dB | images | gopro-on-gopro, gain dB | full-on-gopro, gain dB |" in printed
    assert "| fifth | length of blur, px |" in printed
    assert plot.stat().st_size > 0
    assert run(severity, [*tables[:1], tables[0]]) == 2
    assert "named twice" in capsys.readouterr().err


@pytest.mark.slow
def test_pretraining_is_compared_with_doing_without(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "study"
    options = ["--photos", str(photos), "--held-out", str(photos), "-o", str(output), *TINY, "--bpp-steps", "3"]
    assert run(blur_pretraining, ["gopro", "realblur", *options]) == 0
    rows = list(csv.DictReader((output / "bpp.csv").read_text().splitlines()))
    lines = [(row["row"], row["fine_tuned_on"], row["bpp"]) for row in rows if row["measured_on"] == "gopro"]
    assert lines == [
        ("a", "gopro", "true"),
        ("b", "realblur", "true"),
        ("c", "all mixed", "false"),
        ("d", "all mixed", "true"),
        ("", "each by its own network", "false"),
        ("", "nothing", "true"),
    ]
    recipes = {path.name: json.loads((path / "recipe.json").read_text()) for path in (output / "runs").iterdir()}
    steps = {name: recipe["schedule"]["steps"] for name, recipe in recipes.items()}
    tuned = {name for name in steps if name.startswith("pretrained-")}
    assert {steps[name] for name in tuned} == {2}
    assert (steps["pretrained"], steps["mixed"], steps["only-gopro"]) == (3, 5, 5)


def test_missing_data_sets_are_refused_in_one_sentence(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["-o", str(tmp_path / "study"), *TINY]
    assert run(cross_dataset, ["nikon", *options]) == 2
    assert run(cross_dataset, ["gopro", *options]) == 2
    assert run(blur_pretraining, ["gopro", "--pretrain-on", str(photos), *options]) == 2
    assert run(severity, [str(photos / "0.png")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4
    assert "neither a folder here nor a preset" in said[0]
    assert "--photos and --held-out" in said[1]
    assert "not have the layout of a known data set" in said[2]
    assert "cannot be read" in said[3]
    assert not (tmp_path / "study" / "runs").exists()
