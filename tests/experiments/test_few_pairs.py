"""Few pairs: rows, tables and one tiny study that is made once."""

import csv
from pathlib import Path

import pytest

from experiments.data_sets import write_simulated_pairs
from experiments.dataset_rows import Cell, make_row_recipe
from experiments.few_pairs import MIXED, OWN, FewPairsRow, few_pairs, list_rows, make_table, open_targets
from experiments.harness import run
from unblur.blur import Camera
from unblur.checkpoints.folder import save_checkpoint
from unblur.models import NAFNet, NAFNetConfig

TINY = [
    "--steps",
    "1",
    "--random-steps",
    "2",
    "--pretraining-steps",
    "1",
    "--patch",
    "32",
    "--batch",
    "1",
    "--network",
    "small",
]
SMALL = ["--counts", "1", "2", "--seeds", "1", "--test-pairs", "1", "--size", "48", "--training-size", "48"]


def make_row(gain_db: float, seed: int) -> FewPairsRow:
    cell = Cell(images=2, psnr_before_db=20.0, psnr_after_db=20.0 + gain_db, ssim_before=0.5, ssim_after=0.5)
    return FewPairsRow(trained_on="a", pairs=4, beginning="full", seed=seed, cells={"a": cell}, own=cell)


def test_gains_are_means_with_standard_deviations_over_the_seeds() -> None:
    table = make_table([make_row(1.0, seed=1), make_row(2.0, seed=2), make_row(3.0, seed=3)], ["a"])
    assert table.lines == (("a", "4", "full", "+2.00 ± 1.00", "+2.00 ± 1.00"),)


@pytest.mark.slow
def test_a_study_compares_beginnings_and_is_made_once(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_row_recipe("small", steps=1, patch_px=32, batch=1, seed=1).model
    assert isinstance(config, NAFNetConfig)
    save_checkpoint(tmp_path / "before", NAFNet(config), config, train_patch_px=32, card="")
    output = tmp_path / "study"
    options = ["--photos", str(photos), "--held-out", str(photos), "-o", str(output), *TINY, *SMALL]
    options += ["--checkpoint", str(tmp_path / "before")]
    for start in "01":
        assert run(few_pairs, ["realblur", *options, "--start", start, "--every", "2"]) == 0
    assert capsys.readouterr().out == ""
    logs = {path: path.read_bytes() for path in output.glob("runs/*/metrics.jsonl")}
    # Two pretrainings, and two numbers of pairs from four beginnings.
    assert len(logs) == 2 + 2 * 4

    assert run(few_pairs, ["realblur", *options, "--plot", str(tmp_path / "plot.png")]) == 0
    assert {path: path.read_bytes() for path in output.glob("runs/*/metrics.jsonl")} == logs
    assert (tmp_path / "plot.png").stat().st_size > 0
    # The first pair of a larger set is that of the smaller one.
    first, second = (output / "pairs" / f"realblur-{count}-seed1" / "blurry" / "0000.png" for count in (1, 2))
    assert first.read_bytes() == second.read_bytes()

    rows = list(csv.DictReader((output / "few-pairs.csv").read_text().splitlines()))
    cells = {(row["trained_on"], row["pairs"], row["beginning"], row["measured_on"]) for row in rows}
    beginnings = ("random", "narrow", "full", "bundled")
    trained = {("realblur", count, one, on) for count in "12" for one in beginnings for on in ("realblur", OWN)}
    assert cells == trained | {("none", "0", one, "realblur") for one in beginnings[1:]}


def test_all_pairs_of_the_measured_folder_are_measured(photos: Path, tmp_path: Path) -> None:
    for name, pairs in (("plaza", 2), ("alley", 6)):
        write_simulated_pairs(tmp_path / name, Camera(), photos, pairs=pairs, size_px=32, seed=1)
    text = f"{tmp_path / 'plaza'}:{tmp_path / 'alley'}"
    targets = open_targets(["gopro", text], held_out=photos, written_to=tmp_path / "sets", test_pairs=6, size_px=32)
    assert len(targets[1].measured.files) == 6
    # Pairs on disk have one number of pairs; mixtures are learned from two of the four beginnings.
    rows = list_rows(targets, (4, 20), seeds=3)
    assert len(rows) == 3 * (4 * (2 + 1) + 2 * 2)
    assert {row[:2] for row in rows} == {("gopro", 4), ("gopro", 20), ("alley", 4), (MIXED, 4), (MIXED, 20)}


def test_targets_that_are_none_are_refused_in_one_sentence(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--photos", str(photos), "--held-out", str(photos), "-o", str(tmp_path / "study")]
    assert run(few_pairs, ["nikon", *options]) == 2
    assert run(few_pairs, ["gopro", *options, "--counts", "0"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "no preset of the simulator" in said[0]
    assert "at least 1" in said[1]
