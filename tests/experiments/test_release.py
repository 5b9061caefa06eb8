"""The release criteria, and the command at a toy scale."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from experiments.harness import run
from experiments.release import (
    LARGEST_CROP_PX,
    SMALLEST_CROP_PX,
    check_against_peer,
    check_release_criteria,
    check_speed,
    draw_random_crop,
    is_sound,
    make_criteria_table,
    open_release_sets,
    release,
    sample_set,
)
from unblur.datasets import PhotoFolder
from unblur.datasets.pair_files import read_rgb
from unblur.evaluation.row import Conditions, Row
from unblur.seeds import make_generator

EXAMPLES = Path(__file__).parents[2] / "examples"

CONDITIONS = Conditions(
    data_set="set",
    protocol="pairs-v1",
    method="network",
    checkpoint="",
    device="cpu",
    precision="float32",
    pooling_window_px="",
    torch="",
    unblur="",
)


def row(image: str, gain_db: float, perceived: float = 0.1, seconds: float = 1.0) -> Row:
    scores = {"psnr_before_db": 20.0, "psnr_after_db": 20 + gain_db, "st_lpips_after": perceived}
    return Row(image=image, height=8, width=8, scores=scores, seconds=seconds, conditions=CONDITIONS)


class Does(nn.Module):
    def __init__(self, what: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.what = what

    def forward(self, blurry: Tensor) -> Tensor:
        return self.what(blurry)


def test_every_set_counts_alike_and_the_severity_that_gains_least_is_named() -> None:
    rows = {
        "validation": [row("light_a.png", -0.4), row("light_b.png", 0.0), row("severe_a.png", 6.2)],
        "shaken": [row("12px_a.png", 4.0)],
        "reds": [row("0.png", -9.0)],
    }
    found = check_release_criteria(rows, ["validation", "shaken"], sharp_db=41.9, broken=0)
    mean, worst, sharp, crops = found
    assert float(mean.found) == pytest.approx((5.8 / 3 + 4) / 2, abs=0.005)
    assert (mean.holds, worst.holds, sharp.holds, crops.holds) == (True, False, False, True)
    assert "(light)" in worst.demand
    assert float(worst.found) == pytest.approx(-0.2)
    assert [line[3] for line in make_criteria_table(found).lines] == [
        "holds",
        "does not hold",
        "does not hold",
        "holds",
    ]


def test_a_release_is_compared_with_peers_in_quality_and_time() -> None:
    ours = {"validation": [row("a", 2.0, perceived=0.2, seconds=0.1)], "shaken": [row("b", 1.0, 0.2, 0.1)]}
    theirs = {"validation": [row("a", 1.0, perceived=0.1, seconds=1.0)], "shaken": [row("b", 1.0, 0.1, 4.0)]}
    psnr, perceived, time = check_against_peer(ours, theirs, "maxim")
    assert (psnr.holds, perceived.holds, time.holds) == (True, False, True)
    assert time.found == "0.040"


def test_speed_is_measured_over_all_pixels() -> None:
    """Two pictures of 64 pixels in 96 and 32 microseconds are a megapixel a second."""
    sets = [[row("a", 1.0, seconds=96e-6)], [row("b", 1.0, seconds=32e-6)]]
    bar = check_speed(sets)
    assert (bar.found, bar.holds) == ("1.00", True)
    assert not check_speed([[row("a", 1.0, seconds=96e-6)]]).holds


@pytest.mark.parametrize(
    ("does", "sound"),
    [
        (lambda blurry: blurry, True),
        (lambda blurry: blurry * torch.nan, False),
        (lambda blurry: blurry + torch.inf, False),
        (lambda blurry: blurry + 0.4, False),
        (lambda blurry: blurry[..., :-1], False),
        (lambda blurry: torch.rand(blurry.shape, generator=make_generator(1, "mosaic")), False),
    ],
)
def test_garbage_is_detected(does: Callable[[Tensor], Tensor], sound: bool) -> None:
    crop = draw_random_crop([read_rgb(EXAMPLES / "reds_sharp.png")], make_generator(3, "crop"))
    assert is_sound(Does(does), crop) is sound


def test_crops_have_any_size_and_follow_from_their_number(photos: Path) -> None:
    opened = PhotoFolder(photos).photos
    crops = [draw_random_crop(opened, make_generator(1, "crop", number)) for number in range(40)]
    sides = [side for crop in crops for side in crop.shape[2:]]
    assert min(sides) >= SMALLEST_CROP_PX
    assert max(sides) <= LARGEST_CROP_PX
    assert {side % 2 for side in sides} == {0, 1}
    assert len({crop.shape for crop in crops}) > 30
    assert torch.equal(crops[7], draw_random_crop(opened, make_generator(1, "crop", 7)))


def test_sets_are_written_once_and_belong_to_their_photographs(photos: Path, tmp_path: Path) -> None:
    def sets(size_px: int = 64) -> list[str]:
        return [one.name for one in open_release_sets(photos, [], tmp_path / "sets", pairs=2, size_px=size_px)]

    assert sets() == ["validation", "gopro", "realblur", "rsblur", "shaken"]
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "sets").rglob("*.png")}
    assert len(written) == 2 * (8 + 3 * 2 + 2)
    sets()
    assert written == {path: path.stat().st_mtime_ns for path in (tmp_path / "sets").rglob("*.png")}
    with pytest.raises(Exception, match="other photographs or settings"):
        sets(size_px=65)
    (one, *_) = open_release_sets(photos, [], tmp_path / "sets", pairs=2, size_px=64)
    files = one.pictures.files
    assert sample_set(one, 4).pictures.files == files[::2]
    assert sample_set(one, 99) == replace(one)


@pytest.mark.slow
def test_the_command_prints_which_criteria_hold(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("stlpips_pytorch", reason="needs the extra `perceptual`")
    (photos / "1.png").unlink()
    small = ["--pairs", "2", "--size", "48", "--crops", "3", "--device", "cpu"]
    command = [str(photos), "-o", str(tmp_path / "out"), *small]
    assert run(release, [*command, "--peer", "unsharp", "--peer-pictures", "2"]) == 0
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "out" / "release.md").read_text()
    assert "mean ST-LPIPS, below unsharp's" in printed
    assert printed.count("holds |") + printed.count("does not hold |") >= 8
    assert printed.count("| fast |") == 5
    assert run(release, [str(photos), "-o", str(tmp_path / "other"), "--crops", "0"]) == 2
