"""Figures of scores and the sheet of the worst images show the right numbers, and refuse tables without them."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unblur.errors import UnblurError
from unblur.evaluation.row import Conditions, Row
from unblur.evaluation.score_plots import bin_by_severity, plot_scores
from unblur.evaluation.sheet import CROP_PX, Extreme, Shown, find_extreme_place, plot_sheet, select_extreme_rows


def row(before_db: float, after_db: float, method: str = "network") -> Row:
    return Row(
        image="a.png",
        height=10,
        width=10,
        scores={"psnr_before_db": before_db, "psnr_after_db": after_db},
        seconds=1.0,
        conditions=Conditions(protocol="pairs-v1", checkpoint="hash", method=method, data_set="$set$"),
    )


def test_bins_hold_the_mean_gains() -> None:
    rows = [row(20.1, 21.1), row(21.9, 24.9), row(22.0, 21.0), row(math.inf, 40.0), row(30.0, math.inf)]
    (low, high) = bin_by_severity(rows)
    assert low == (21.0, pytest.approx(2.0), 2)
    assert high == (23.0, pytest.approx(-1.0), 1)


def test_equal_rows_give_equal_figures_and_others_others(tmp_path: Path) -> None:
    runs = [[row(20, 22), row(25, 26)], [row(20, 21, "peer"), row(25, 25.5, "peer")]]
    for folder, drawn in (("a", runs), ("b", runs), ("c", runs[:1])):
        (tmp_path / folder).mkdir()
        plot_scores(drawn, tmp_path / folder)
    for name in ("gain.png", "images.png"):
        first, second, third = ((tmp_path / folder / name).read_bytes() for folder in "abc")
        assert first == second != third


def test_rows_without_finite_scores_cannot_be_drawn(tmp_path: Path) -> None:
    unscored = replace(row(20, 21), scores={"change_after": 0.1})
    for rows in ([row(math.inf, 40.0)], [unscored], []):
        with pytest.raises(UnblurError, match="nothing to draw"):
            plot_scores([rows], tmp_path)


def test_the_worst_come_first_and_are_ten_at_most() -> None:
    rows = [row(20, 20 + gain) for gain in range(12)]
    rows += [row(math.inf, 10.0)]
    assert [one.gain_db for one in select_extreme_rows(rows[::-1], "worst")] == list(range(10))
    assert [one.gain_db for one in select_extreme_rows(rows, "best")] == list(range(11, 1, -1))


def shown(height: int, width: int) -> Shown:
    """An image that is as it should be but for a square of 40 px, where the restored one is black."""
    sharp = torch.from_numpy(np.random.default_rng(0).integers(1, 256, (3, height, width), np.uint8))
    restored = sharp.clone()
    restored[:, height - 48 : height - 8, width - 52 : width - 12] = 0
    return Shown(row=row(30, 20), blurry=sharp, restored=restored, sharp=sharp)


@pytest.mark.parametrize("extreme", ["worst", "best"])
def test_crops_show_the_largest_change_pixel_for_pixel(tmp_path: Path, extreme: Extreme) -> None:
    one = shown(400, 500)
    if extreme == "best":
        # What was wrong before and is right now.
        one = replace(one, blurry=one.restored, restored=one.sharp)
    assert find_extreme_place(one, 40, extreme) == (400 - 48, 500 - 52)
    plot_sheet([one, shown(100, 90)], tmp_path / "worst.png", extreme)
    with Image.open(tmp_path / "worst.png") as image:
        sheet = np.asarray(image.convert("RGB"))
    assert sheet.shape[1] == 3 * CROP_PX
    top, left = find_extreme_place(one, CROP_PX, extreme)
    line = sheet[sheet.shape[0] // 2 - CROP_PX : sheet.shape[0] // 2]
    for column, picture in enumerate((one.blurry, one.restored, one.sharp)):
        crop = picture[:, top : top + CROP_PX, left : left + CROP_PX].permute(1, 2, 0).numpy()
        assert np.array_equal(line[:, column * CROP_PX : (column + 1) * CROP_PX], crop)


def test_a_sheet_has_the_format_of_its_suffix(tmp_path: Path) -> None:
    plot_sheet([shown(100, 90)], tmp_path / "worst.jpg", "worst")
    with Image.open(tmp_path / "worst.jpg") as image:
        assert (image.format, image.width) == ("JPEG", 3 * CROP_PX)


def test_a_sheet_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match="no worst one"):
        plot_sheet([], tmp_path / "worst.png", "worst")
