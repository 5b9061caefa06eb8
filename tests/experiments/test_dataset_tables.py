"""Tables of the studies, made of cells and rows written by hand."""

import csv
import math
from dataclasses import replace

import pytest

from experiments.blur_pretraining import BppRow, make_bpp_csv, make_bpp_table
from experiments.cross_dataset import compute_drop_db, make_cross_csv, make_cross_table
from experiments.dataset_rows import Cell, average_cells
from unblur.evaluation.row import Conditions, Row


def cell(after_db: float, ssim: float = 0.9, before_db: float = 25.0) -> Cell:
    return Cell(images=4, psnr_before_db=before_db, psnr_after_db=after_db, ssim_before=0.7, ssim_after=ssim)


ROWS = {
    "narrow": {"narrow": cell(32.0), "wide": cell(26.0, before_db=24.0), "only tested": cell(28.0)},
    "wide": {"narrow": cell(31.0, 0.88), "wide": cell(30.0, before_db=24.0), "only tested": cell(29.5)},
}


def test_a_row_falls_behind_where_another_was_trained() -> None:
    assert compute_drop_db(ROWS, "narrow") == pytest.approx(30.0 - 26.0)
    assert compute_drop_db(ROWS, "wide") == pytest.approx(32.0 - 31.0)
    assert compute_drop_db({"narrow": ROWS["narrow"]}, "narrow") is None


def test_the_cross_table_has_the_blurry_input_the_means_and_the_drop() -> None:
    table = make_cross_table(ROWS)
    assert table.header == ("trained on", "narrow", "wide", "only tested", "mean", "drop elsewhere, dB")
    blurry, narrow, wide = table.lines
    assert blurry == ("(blurry input)", "25.00/0.700", "24.00/0.700", "25.00/0.700", "24.67/0.700", "")
    assert narrow == ("narrow", "32.00/0.900", "26.00/0.900", "28.00/0.900", "28.67/0.900", "4.00")
    assert wide == ("wide", "31.00/0.880", "30.00/0.900", "29.50/0.900", "30.17/0.893", "1.00")
    (line, *_, last) = csv.DictReader(make_cross_csv(ROWS).splitlines())
    assert (line["trained_on"], line["measured_on"], line["psnr_after_db"]) == ("narrow", "narrow", "32.0000")
    assert (last["trained_on"], last["measured_on"], last["images"]) == ("wide", "only tested", "4")


def test_the_bpp_table_has_a_letter_for_each_row_of_the_paper() -> None:
    cells = {"x": cell(30.0), "y": cell(31.0, 0.92)}
    rows = [
        BppRow(letter="a", tuned_on="x", pretrained=True, cells=cells),
        BppRow(letter="", tuned_on="each", pretrained=False, cells=cells),
    ]
    table = make_bpp_table(rows)
    assert table.header == ("", "fine-tuned on", "BPP", "x", "y", "mean")
    assert table.lines[0][1] == "(blurry input)"
    assert table.lines[1] == ("a", "x", "yes", "30.00/0.900", "31.00/0.920", "30.50/0.910")
    assert table.lines[2][2] == "no"
    assert [line["measured_on"] for line in csv.DictReader(make_bpp_csv(rows).splitlines())] == ["x", "y", "x", "y"]


@pytest.mark.parametrize("ssim", ["ssim", "ssim_3d"])
def test_a_cell_is_the_mean_over_images(ssim: str) -> None:
    rows = [
        Row(
            image=f"{number}.png",
            height=8,
            width=8,
            scores={
                "psnr_before_db": 20.0 + number,
                "psnr_after_db": 24.0 + number,
                f"{ssim}_before": 0.5,
                f"{ssim}_after": 0.6 + number / 10,
            },
            seconds=0.0,
            conditions=Conditions(protocol="p", checkpoint="c"),
        )
        for number in range(3)
    ]
    found = average_cells(rows)
    assert (found.images, found.psnr_before_db, found.psnr_after_db) == (3, 21.0, 25.0)
    assert (found.ssim_before, found.ssim_after) == (pytest.approx(0.5), pytest.approx(0.7))
    sharp = replace(rows[0], scores=rows[0].scores | {"psnr_before_db": math.inf, "psnr_after_db": 45.0})
    assert average_cells([*rows, sharp]) == found
    assert average_cells([sharp]).psnr_before_db == math.inf
