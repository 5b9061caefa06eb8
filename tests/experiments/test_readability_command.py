"""`python -m experiments.readability` as it is typed."""

import csv
from pathlib import Path

import pytest
from PIL import Image

from experiments.harness import run
from experiments.readability import readability


@pytest.fixture(autouse=True)
def _extra() -> None:
    pytest.importorskip("rapidocr")
    pytest.importorskip("onnxruntime")


def test_signs_are_read_before_and_after(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--signs", "1", "--checkpoint", str(tiny_checkpoint), "--csv", str(tmp_path / "read.csv")]
    assert run(readability, [*arguments, "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert "1 signs before soft colours, signs-v1, weights " in printed
    assert [f"| {name} | 1 |" in printed for name in ("light", "moderate", "strong", "severe")] == [True] * 4
    rows = list(csv.DictReader((tmp_path / "read.csv").read_text().splitlines()))
    assert len(rows) == 4
    assert {row["checkpoint"][:12] in printed for row in rows} == {True}


def test_photographs_without_text_are_refused(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (64, 48), "gray").save(tmp_path / "wall.png")
    arguments = ["--texts", str(tmp_path), "--checkpoint", str(tiny_checkpoint), "--device", "cpu"]
    assert run(readability, [*arguments]) == 2
    assert "give photographs with text" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--signs", "0"], "at least 1"), (["--photos", "nowhere"], "no folder"), (["--texts", "nowhere"], "no folder")],
)
def test_bad_input_is_one_sentence(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(readability, [*arguments, "--device", "cpu"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
