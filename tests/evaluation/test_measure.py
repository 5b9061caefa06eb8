"""Measurements against scikit-image, their CSV, and the tables that are made of it."""

import csv
import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from unblur.datasets import Pair
from unblur.errors import UnblurError
from unblur.evaluation.measure import measure
from unblur.evaluation.row import Row, from_csv, read_rows, to_csv
from unblur.evaluation.tables import Table, compare_runs, summarise


def pair(name: str, noise: float, seed: int = 0) -> Pair:
    generator = torch.Generator().manual_seed(seed)
    sharp = torch.rand(3, 40, 50, generator=generator)
    blurry = (sharp + noise * torch.randn(3, 40, 50, generator=generator)).clamp(0, 1)
    return Pair(blurry=blurry, sharp=sharp, name=name)


def brighter(pixels: np.ndarray) -> np.ndarray:
    return np.minimum(pixels.astype(int) + 3, 255).astype(np.uint8)


def as_bytes(picture: torch.Tensor) -> np.ndarray:
    return (picture * 255).round().byte().permute(1, 2, 0).numpy()


def test_rows_agree_with_scikit_image() -> None:
    example = pair("light_a.png", 0.05)
    (row,) = measure([example], brighter, "hash")
    blurry, sharp = as_bytes(example.blurry), as_bytes(example.sharp)
    assert math.isclose(row.scores["psnr_before_db"], peak_signal_noise_ratio(sharp, blurry), rel_tol=1e-5)
    assert math.isclose(row.scores["psnr_after_db"], peak_signal_noise_ratio(sharp, brighter(blurry)), rel_tol=1e-5)
    options = {"channel_axis": 2, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    reference = structural_similarity(sharp, brighter(blurry), data_range=255, **options)
    assert math.isclose(row.scores["ssim_after"], reference, abs_tol=1e-4)
    assert (row.height, row.width) == (40, 50)
    assert (row.conditions.protocol, row.conditions.checkpoint) == ("pairs-v1", "hash")


def test_a_perfect_restoration_is_infinitely_good() -> None:
    example = pair("a.png", 0.05)
    (row,) = measure([example], lambda _: as_bytes(example.sharp), "hash")
    assert math.isinf(row.scores["psnr_after_db"])
    assert math.isclose(row.scores["ssim_after"], 1.0, abs_tol=1e-6)


def some_rows(method: str = "function", checkpoint: str = "hash") -> list[Row]:
    pairs = [pair("light_a.png", 0.02), pair("light_b.png", 0.02, 1), pair("severe_a.png", 0.2)]
    rows = list(measure(pairs, brighter, checkpoint))
    return [replace(row, conditions=replace(row.conditions, method=method)) for row in rows]


def test_rows_survive_the_csv() -> None:
    rows = some_rows()
    text = to_csv(rows)
    read = list(csv.DictReader(io.StringIO(text)))
    assert [line["image"] for line in read] == ["light_a.png", "light_b.png", "severe_a.png"]
    assert math.isclose(float(read[1]["psnr_after_db"]), rows[1].scores["psnr_after_db"], abs_tol=1e-4)
    assert [row.conditions for row in from_csv(text)] == [row.conditions for row in rows]
    assert to_csv(from_csv(text)) == text


def test_quoted_names_survive_the_csv() -> None:
    (row, *_) = some_rows()
    odd = replace(row, image='comma, "quote" and ü.png')
    assert from_csv(to_csv([odd]))[0].image == odd.image


@pytest.mark.parametrize("damage", ["image,height\na.png,3\n", "hello\n1\n", 'a,b\n"1'])
def test_other_csv_files_are_refused(damage: str) -> None:
    with pytest.raises(UnblurError, match="is not a CSV of `unblur evaluate`"):
        from_csv(damage)


def test_a_line_cut_short_is_refused() -> None:
    text = to_csv(some_rows())
    with pytest.raises(UnblurError, match="number of columns"):
        from_csv(text[: text.rindex(",")])


def test_a_csv_without_rows_or_without_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    for name in ("empty.csv", "none.csv"):
        with pytest.raises(UnblurError, match="give a CSV of `unblur evaluate`"):
            read_rows(tmp_path / name)


def test_the_table_has_a_line_a_group_and_one_for_all() -> None:
    pairs = [pair("light_a.png", 0.02), pair("light_b.png", 0.02, 1), pair("severe_a.png", 0.2)]
    rows = list(measure(pairs, lambda pixels: pixels, "hash"))
    lines = summarise(rows).markdown().splitlines()
    assert lines[0] == "| images | n | PSNR before | PSNR after | gain dB | SSIM before | SSIM after | worse | s/MP |"
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["light", "severe", "all"]
    assert [line.split("|")[2].strip() for line in lines[2:]] == ["2", "1", "3"]
    assert lines[-1].split("|")[5].strip() == "+0.00"
    mean = sum(row.scores["psnr_before_db"] for row in rows) / 3
    assert lines[-1].split("|")[3].strip() == f"{mean:.2f}"


def test_parts_of_a_data_set_are_groups_and_old_tables_have_none() -> None:
    rows = [replace(row, part=part) for row, part in zip(some_rows(), ("saturated", "not saturated", ""), strict=True)]
    assert [line[0] for line in summarise(rows).lines] == ["saturated", "not saturated", "severe", "all"]
    assert [row.part for row in from_csv(to_csv(rows))] == ["saturated", "not saturated", ""]
    lines = list(csv.DictReader(io.StringIO(to_csv(rows))))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [name for name in lines[0] if name != "part"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(lines)
    assert [row.group for row in from_csv(text.getvalue())] == ["light", "light", "severe"]


def test_splits_are_groups_and_many_groups_are_one_line() -> None:
    (row, *_) = some_rows()
    splits = [replace(row, image=f"test-{split}/000_0001.png") for split in ("1ms8ms", "2ms16ms")]
    assert [line[0] for line in summarise(splits).lines] == ["test-1ms8ms", "test-2ms16ms", "all"]
    many = [replace(row, image=f"scene{number}_1.png") for number in range(9)]
    assert [line[0] for line in summarise(many).lines] == ["all"]


def test_images_that_got_worse_and_alignments_that_failed_are_counted() -> None:
    rows = some_rows()
    falls = sum(row.gain_db < 0 for row in rows)
    assert falls > 0
    assert summarise(rows).lines[-1][summarise(rows).header.index("worse")] == str(falls)
    failed = [replace(rows[0], aligned_before="yes", aligned_after="failed"), *rows[1:]]
    table = summarise(failed)
    assert table.lines[-1][table.header.index("not aligned")] == "0 + 1"


def test_runs_are_compared_line_by_line() -> None:
    table = compare_runs([some_rows("identity", ""), some_rows("network")])
    assert [line[:4] for line in table.lines] == [
        ("-", "pairs-v1", "identity", "-"),
        ("-", "pairs-v1", "network", "hash"),
    ]
    without = [replace(row, scores={"change_after": 0.01}) for row in some_rows("other")]
    line = compare_runs([some_rows("network"), without]).lines[1]
    assert line[4:] == ("3", "-", "-", "-", "-", "-", "0.0100", "-", line[-1])


def test_indistinguishable_or_mixed_runs_are_refused() -> None:
    with pytest.raises(UnblurError, match="called"):
        compare_runs([some_rows(), some_rows()])
    with pytest.raises(UnblurError, match="different conditions"):
        compare_runs([[*some_rows("one"), *some_rows("two")]])
    with pytest.raises(UnblurError, match="Nothing was measured"):
        summarise([])


def test_every_format_of_a_table_has_all_cells() -> None:
    table = Table(header=("method", "gain dB"), lines=(("a|b_c & 5%", "+1.00"),))
    assert table.markdown() == "| method | gain dB |\n|---|---|\n| a\\|b_c & 5% | +1.00 |\n"
    assert r"a|b\_c \& 5\% & +1.00 \\" in table.latex()
    assert list(csv.reader(io.StringIO(table.csv()))) == [["method", "gain dB"], ["a|b_c & 5%", "+1.00"]]
