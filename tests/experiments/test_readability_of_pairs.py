"""Text read before and after: laws of blur and of doing nothing, and the table and file made of it."""

import csv
from dataclasses import replace

import pytest
import torch

from experiments.readability import (
    Readability,
    find_pairs_with_text,
    make_readability_csv,
    make_readability_table,
    measure_readability,
)
from experiments.text_reader import TextReader, compute_character_accuracy
from unblur.datasets import Pair
from unblur.datasets.signs import SignSettings, draw_sign, render_sign_pairs

HARSH = replace(SignSettings(), severities=(("light", 2.0), ("severe", 16.0)), capital_px=(10, 20))


@pytest.fixture(scope="module")
def reader() -> TextReader:
    pytest.importorskip("rapidocr")
    pytest.importorskip("onnxruntime")
    return TextReader()


@pytest.fixture(scope="module")
def untouched(reader: TextReader) -> list[Readability]:
    """Signs that are not restored at all."""
    return list(measure_readability(render_sign_pairs(4, HARSH), lambda pixels: pixels, reader, "signs-v1", "none"))


def mean(rows: list[Readability], severity: str) -> float:
    chosen = [row.blurry for row in rows if row.severity == severity]
    return sum(chosen) / len(chosen)


def test_signs_are_read_when_sharp_and_not_when_severely_blurred(untouched: list[Readability]) -> None:
    assert sum(row.sharp for row in untouched) / len(untouched) > 0.95
    assert mean(untouched, "light") > 0.9
    assert mean(untouched, "severe") < 0.7


def test_doing_nothing_changes_nothing(untouched: list[Readability]) -> None:
    assert all(row.restored == row.blurry and row.read_restored == row.read_blurry for row in untouched)
    assert make_readability_table(untouched).markdown().count("| +0.0 | 0 | 0 |") == 2


def test_the_truth_as_restoration_reads_as_the_sharp_sign(reader: TextReader) -> None:
    pairs = [pair for pair in render_sign_pairs(1, HARSH) if pair.pair.name.startswith("severe")]
    truth = (pairs[0].pair.sharp * 255).round().byte().permute(1, 2, 0).numpy()
    (row,) = measure_readability(pairs, lambda _: truth, reader, "signs-v1", "truth")
    assert row.read_restored == row.read_sharp
    assert row.restored == row.sharp > row.blurry
    assert "| severe | 1 |" in make_readability_table([row]).markdown()
    assert make_readability_table([row]).markdown().endswith("| 1 | 0 |\n")


def test_the_file_holds_every_reading(untouched: list[Readability]) -> None:
    rows = list(csv.DictReader(make_readability_csv(untouched).splitlines()))
    assert [row["image"] for row in rows] == [row.image for row in untouched]
    for row in rows:
        read, text = (row[name].replace(" / ", "\n") for name in ("read_blurry", "text"))
        assert float(row["blurry"]) == pytest.approx(compute_character_accuracy(read, text), abs=1e-4)
        assert row["protocol"] == "signs-v1"
        assert row["reader"].startswith("rapidocr ")


def test_photographs_without_text_are_left_out(reader: TextReader) -> None:
    shown = draw_sign(0, SignSettings())
    written = Pair(blurry=shown.picture, sharp=shown.picture, name="light_written.png")
    empty = Pair(blurry=shown.picture, sharp=torch.full((3, 90, 120), 0.4), name="light_empty.png")
    assert [found.pair.name for found in find_pairs_with_text([empty, written], reader)] == ["light_written.png"]
    (row,) = measure_readability(
        find_pairs_with_text([written], reader), lambda pixels: pixels, reader, "photographs-v1", "none"
    )
    assert row.sharp == row.blurry == 1


def test_means_are_over_pictures_and_worse_is_told() -> None:
    row = Readability(
        image="light_0.png",
        text="EXIT",
        read_sharp="EXIT",
        read_blurry="EXIT",
        read_restored="EXET",
        sharp=1.0,
        blurry=1.0,
        restored=0.75,
        protocol="signs-v1",
        reader="r",
        checkpoint="c",
    )
    better = replace(row, image="light_1.png", blurry=0.25, restored=0.75)
    assert (
        "| light | 2 | 100.0 % | 62.5 % | 75.0 % | +12.5 | 1 | 1 |" in make_readability_table([row, better]).markdown()
    )
