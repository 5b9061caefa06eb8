"""Fifths of images by severity, against NumPy; and what cannot be compared."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.severity import compare_by_length, compare_by_psnr, make_severity_table, plot_severity, read_lengths_px
from unblur.datasets import PhotoFolder
from unblur.datasets.validation import ValidationSet, simulate_validation_pairs
from unblur.datasets.written_pairs import write_pair
from unblur.errors import UnblurError
from unblur.evaluation.motion_sources import read_known_motion
from unblur.evaluation.row import Conditions, Row


def row(number: int, before_db: float, gain_db: float, pictures: str = "same") -> Row:
    return Row(
        image=f"{number}.png",
        height=8,
        width=8,
        scores={"psnr_before_db": before_db, "psnr_after_db": before_db + gain_db},
        seconds=0.0,
        conditions=Conditions(protocol="pairs-v1", checkpoint="c", pictures=pictures),
    )


def random_runs(count: int, seed: int = 0) -> dict[str, list[Row]]:
    random = np.random.default_rng(seed)
    before = random.uniform(15, 35, count)
    return {
        name: [row(number, before_db, random.normal(1, 2)) for number, before_db in enumerate(before)]
        for name in ("ours", "theirs")
    }


@pytest.mark.parametrize("count", [5, 12, 61, 100])
def test_fifths_by_psnr_are_those_of_numpy(count: int) -> None:
    runs = random_runs(count)
    study = compare_by_psnr(runs)
    before = np.array([one.scores["psnr_before_db"] for one in runs["ours"]])
    # From the mildest: numpy's quantiles of the negative, each bound belonging to the milder fifth.
    fifths = np.searchsorted(np.quantile(-before, [0.2, 0.4, 0.6, 0.8]), -before, side="left")
    for number, fifth in enumerate(study.quintiles):
        chosen = fifths == number
        assert fifth is not None
        assert fifth.images == chosen.sum()
        assert (fifth.mildest, fifth.severest) == (before[chosen].max(), before[chosen].min())
        for place, rows in enumerate(runs.values()):
            gains = np.array([one.gain_db for one in rows])
            assert fifth.gains_db[place] == pytest.approx(gains[chosen].mean())
    assert study.whole.gains_db[0] == pytest.approx(np.mean([one.gain_db for one in runs["ours"]]))
    assert sum(fifth.images for fifth in study.quintiles if fifth) == count


def test_the_severe_are_the_worst_fifth_and_the_table_says_so() -> None:
    runs = {"ours": [row(number, 20.0 + number, gain_db=10.0 - number) for number in range(10)]}
    table = make_severity_table(compare_by_psnr(runs))
    assert table.header == ("fifth", "PSNR before, dB", "images", "ours, gain dB")
    assert table.lines[0] == ("1, mildest", "29.00 to 28.00", "2", "+1.50")
    assert table.lines[4] == ("5, severe", "21.00 to 20.00", "2", "+9.50")
    assert table.lines[5] == ("all", "29.00 to 20.00", "10", "+5.50")


def test_by_length_long_blur_is_severe_and_equal_lengths_stay_together() -> None:
    runs = {"ours": [row(number, 20.0, gain_db=float(number)) for number in range(10)]}
    study = compare_by_length(runs, {f"{number}": float(number) for number in range(10)})
    assert study.quintiles[4] is not None
    assert (study.quintiles[4].mildest, study.quintiles[4].severest, study.quintiles[4].gains_db) == (8.0, 9.0, (8.5,))
    alike = compare_by_length(runs, dict.fromkeys((f"{number}" for number in range(10)), 3.0))
    assert [fifth.images if fifth else 0 for fifth in alike.quintiles] == [10, 0, 0, 0, 0]
    assert make_severity_table(alike).lines[4] == ("5, severe", "-", "0", "-")


def test_images_without_a_finite_psnr_are_left_out_and_counted() -> None:
    runs = random_runs(20)
    runs["theirs"][3] = row(3, math.inf, 0.0)
    runs["ours"][4] = replace(runs["ours"][4], scores=runs["ours"][4].scores | {"psnr_after_db": math.inf})
    study = compare_by_psnr(runs)
    assert (study.whole.images, study.left_out) == (18, 2)
    assert all(math.isfinite(gain) for gain in study.whole.gains_db)


def test_what_cannot_be_compared_is_refused() -> None:
    runs = random_runs(10)
    with pytest.raises(UnblurError, match="at least one CSV"):
        compare_by_psnr({})
    with pytest.raises(UnblurError, match="fifths need at least 5"):
        compare_by_psnr({"few": runs["ours"][:4]})
    for other in (runs["theirs"][:9], [row(number, 20, 1, "other") for number in range(10)]):
        with pytest.raises(UnblurError, match="ours and theirs did not measure the same images"):
            compare_by_psnr({"ours": runs["ours"], "theirs": other})
    with pytest.raises(UnblurError, match=r"motion of 7\.png is not known"):
        compare_by_length(runs, {f"{number}": 1.0 for number in range(7)})


def test_validation_pairs_tell_their_length(photos: Path, tmp_path: Path) -> None:
    settings = ValidationSet(size_px=64)
    for pair in simulate_validation_pairs(PhotoFolder(photos), settings):
        write_pair(tmp_path / "set", pair)
    lengths = read_lengths_px(read_known_motion(tmp_path / "set"))
    assert lengths.keys() == {f"{severity}_{number}" for severity, _ in settings.severities for number in range(2)}
    mean = {severity: (lengths[f"{severity}_0"] + lengths[f"{severity}_1"]) / 2 for severity, _ in settings.severities}
    assert 0 < mean["light"] < mean["moderate"] < mean["severe"]
    (pair, *_) = simulate_validation_pairs(PhotoFolder(photos), settings)
    assert pair.motion is not None
    assert lengths["light_0"] == pytest.approx(float(pair.motion.magnitude_px.mean()))
    assert torch.isfinite(pair.motion.offsets).all()


def test_equal_studies_give_equal_figures(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        plot_severity(compare_by_psnr(random_runs(20, seed)), tmp_path / f"{name}.png")
    first, second, third = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert first == second != third
