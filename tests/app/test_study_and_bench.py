"""Commands that measure this project itself, at a size that shows that they work."""

import csv
from pathlib import Path

import numpy as np
import pytest

from unblur.app.cli import main
from unblur.recipes.sizes import sizes


def test_candidates_differ_in_their_shape_only() -> None:
    candidates = sizes()
    assert len({candidate.model for candidate in candidates}) == len(candidates) > 2
    rest = {(c.camera, c.sampling, c.seed, c.batch, c.peak_learning_rate, c.uses) for c in candidates}
    assert len(rest) == 1


@pytest.mark.slow
def test_a_study_trains_and_measures_its_candidates(photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "sizes.csv"
    arguments = [
        "--photos",
        str(photos),
        "--held-out",
        str(photos),
        "--seconds",
        "1",
        "--size",
        "64",
        "--csv",
        str(table),
    ]
    assert main(["study", "sizes", *arguments, "--only", "0"]) == 0
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert row["candidate"] == sizes()[0].name
    assert int(row["steps"]) >= 2
    assert float(row["restoring_s_per_mp"]) > 0
    assert np.isfinite(float(row["gain_db"]))


def test_a_study_of_nothing_is_refused(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["study", "sizes", "--photos", str(photos), "--held-out", str(photos)]
    assert main([*arguments, "--seconds", "0"]) == 2
    assert main([*arguments, "--only", "99"]) == 2
    assert "There is no candidate 99" in capsys.readouterr().err


@pytest.mark.slow
def test_the_benchmark_prints_ratios(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(photos), "--pairs", "2"]) == 0
    printed = capsys.readouterr().out
    assert "| 256 x 256 |" in printed
    assert "| 1280 x 720 |" in printed
    assert "that simulation takes:" in printed
