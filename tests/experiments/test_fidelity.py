"""Generated detail against the faithful restoration: the means and bars, and the command with tiny networks."""

import csv
from collections.abc import Sequence
from math import inf, nan
from pathlib import Path

import pytest
import torch

from experiments.fidelity import check_fidelity, fidelity
from experiments.harness import run
from experiments.severe_half import make_summary_table, summarize
from unblur.app.cli import main
from unblur.checkpoints.folder import save_checkpoint
from unblur.evaluation.row import Conditions, Row
from unblur.models import GlowDeblur, LatentDecoder
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo


def row(image: str, psnr: tuple[float, float], perceived: float, niqe: tuple[float, float] = (5.0, 4.0)) -> Row:
    scores = {
        "psnr_before_db": psnr[0],
        "psnr_after_db": psnr[1],
        "st_lpips_before": 0.5,
        "st_lpips_after": perceived,
        "niqe_before": niqe[0],
        "niqe_after": niqe[1],
    }
    conditions = Conditions(protocol="pairs-v1", checkpoint="abc")
    return Row(image=image, height=8, width=8, scores=scores, seconds=1.0, conditions=conditions)


def test_the_severe_half_are_the_pictures_that_were_worst_before() -> None:
    faithful = [row("a", (30, 33), 0.1), row("b", (20, 21), 0.4), row("c", (25, 27), 0.2), row("d", (15, 16), 0.6)]
    generated = [row("a", (30, 30), 0.2), row("b", (20, 20), 0.3), row("c", (25, 26), 0.2), row("d", (15, 15), 0.5)]
    blurry, first, second = summarize({"faithful": faithful, "fidelity 0": generated})
    assert (blurry.title, blurry.severe.psnr_db, blurry.whole.psnr_db) == ("blurry", 17.5, 22.5)
    assert (first.severe.psnr_db, first.severe.st_lpips) == (18.5, 0.5)
    assert second.severe.st_lpips == pytest.approx(0.4)
    assert second.whole.psnr_db == 22.75
    perceived, niqe, psnr = check_fidelity("set", first, second)
    assert (perceived.holds, niqe.holds, psnr.holds) == (True, False, True)
    assert psnr.found == "-1.50"
    assert [line[0] for line in make_summary_table([blurry, first, second]).lines] == [
        "blurry",
        "faithful",
        "fidelity 0",
    ]


def test_a_picture_that_one_restoration_has_no_number_for_counts_for_none() -> None:
    def rows(niqe: float, psnr_db: float) -> Sequence[Row]:
        return [row("a", (20, psnr_db), 0.1, (5, niqe)), row("b", (30, 32), 0.3)]

    lines = summarize({"faithful": rows(nan, 22), "fidelity 0": rows(9, 24), "fidelity 1": rows(9, inf)})
    assert [line.whole.niqe for line in lines] == [5, 4, 4, 4]
    assert [line.whole.psnr_db for line in lines] == [30, 32, 32, 32]
    assert lines[1].whole.st_lpips == pytest.approx(0.2)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two pairs that are large enough for NIQE."""
    torch.manual_seed(1)
    for number in range(2):
        coarse = torch.randint(60, 200, (30, 30, 3), dtype=torch.uint8).numpy()
        sharp = coarse.repeat(7, 0).repeat(7, 1)
        blurry = (sharp.astype(float) + sharp[:, [*range(1, 210), 209]]) / 2
        for side, pixels in (("sharp", sharp), ("blurry", blurry.astype("uint8"))):
            (tmp_path / "pairs" / side).mkdir(parents=True, exist_ok=True)
            write_photo(Photo(pixels=pixels), tmp_path / "pairs" / side / f"{number}.png")
    return tmp_path / "pairs"


def test_the_command_measures_every_fidelity_and_resumes(
    pairs: Path,
    tmp_path: Path,
    tiny_glow: GlowDeblur,
    tiny_decoder: LatentDecoder,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("diffusers", reason="needs the extra `generative`")
    pytest.importorskip("stlpips_pytorch", reason="needs the extra `perceptual`")
    for name, network in (("glow", tiny_glow), ("decoder", tiny_decoder)):
        save_checkpoint(tmp_path / name, network, network.config, train_patch_px=64, card="", dtype=torch.float32)  # type: ignore[arg-type]
    own = ["--checkpoint", str(tmp_path / "glow"), "--decoder", str(tmp_path / "decoder"), "--device", "cpu"]
    command = [str(pairs), *own, "-o", str(tmp_path / "out"), "--steps", "1"]
    assert run(fidelity, [*command, "--fidelities", "0", "1"]) == 0
    printed = capsys.readouterr().out
    with (tmp_path / "out" / "fidelity.csv").open() as file:
        rows = list(csv.DictReader(file))
    # The default is always among them.
    assert [row["restoration"] for row in rows] == ["blurry", "faithful", "fidelity 0", "fidelity 0.5", "fidelity 1"]
    assert "pairs, PSNR over faithful, dB" in printed
    assert len({row["psnr_db"] for row in rows}) == 5
    monkeypatch.setattr("unblur.restoration.generative.GenerativeRestorer.restore_photo", None)
    assert run(fidelity, [*command, "--fidelities", "0", "1"]) == 0
    assert capsys.readouterr().out == printed
    assert run(fidelity, [str(pairs), *own, "-o", str(tmp_path / "out"), "--pictures", "0"]) == 2


def test_options_of_generated_detail_need_the_method(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(pairs), "--fidelity", "0.5"]) == 2
    assert "only with --method generative" in capsys.readouterr().err
