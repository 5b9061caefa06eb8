"""Caption guidance: the table, wrong captions, and one tiny study that is made once."""

import csv
from itertools import cycle
from pathlib import Path
from typing import get_args

import pytest
import torch
from PIL import Image
from tiny_networks import save_text_encoder

from experiments.caption_guidance import Condition, Measured, Scores, caption_guidance, find_other_caption, make_table
from experiments.harness import run
from unblur.errors import UnblurError
from unblur.models.tiny_autoencoder import build_taesana_encoder


def make_measured(error: float) -> Measured:
    scores = [Scores(velocity_error=error + i, st_lpips=0.1, psnr_db=20.0) for i in range(4)]
    return Measured(caption=scores[0], wrong_caption=scores[1], regions=scores[2], nothing=scores[3])


def test_scores_are_means_with_standard_deviations_over_the_seeds() -> None:
    lines = make_table(make_measured(1.0), [make_measured(2.0), make_measured(4.0)]).lines
    assert [line[:2] for line in lines[:4]] == [("without captions", one) for one in get_args(Condition)]
    assert [line[2] for line in lines[:4]] == ["1.0000", "2.0000", "3.0000", "4.0000"]
    assert lines[5][:3] == ("with captions", "wrong caption", "4.0000 ± 1.4142")


def test_a_wrong_caption_is_the_next_other_one() -> None:
    captions = [(torch.full((2, 3), float(value)), torch.ones(2, dtype=torch.bool)) for value in (1, 1, 2, 1)]
    assert find_other_caption(captions, 0) is captions[2]
    assert find_other_caption(captions, 2) is captions[3]
    assert find_other_caption(captions, 3) is captions[2]
    with pytest.raises(UnblurError, match="same caption"):
        find_other_caption(captions[:2], 0)


@pytest.mark.slow
def test_a_study_compares_all_conditions_and_is_made_once(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("diffusers", reason="needs the extra `generative`")
    captions = cycle(("a red bus", "a blue bus"))
    monkeypatch.setattr("unblur.training.objectives.patch_captions.load_captioner", lambda *_: lambda _: next(captions))
    large = tmp_path / "large"
    large.mkdir()
    for path in photos.iterdir():
        with Image.open(path) as picture:
            picture.resize((320, 320)).save(large / path.name)
    torch.manual_seed(0)
    torch.save(build_taesana_encoder().state_dict(), tmp_path / "taesana_encoder.pth")
    output = tmp_path / "study"
    options = ["--photos", str(large), "--held-out", str(large), "-o", str(output), "--steps", "1", "--seeds", "1"]
    options += ["--latent-encoder", str(tmp_path / "taesana_encoder.pth"), "--cache-size", "2", "--size", "64"]
    options += ["--text-encoder", str(save_text_encoder(tmp_path / "text", channels=384)), "--sampling-steps", "1"]
    assert run(caption_guidance, [*options, "--start", "0"]) == 0
    assert capsys.readouterr().out == ""
    assert run(caption_guidance, options) == 0
    rows = list(csv.DictReader((output / "caption-guidance.csv").read_text().splitlines()))
    assert [(row["network"], row["condition"]) for row in rows] == [
        (name, condition) for name in ("before", "seed 1") for condition in get_args(Condition)
    ]
    values = {(row["network"], row["condition"]): row["velocity_error"] for row in rows}
    assert len(set(values.values())) == len(values)
    stored = {path: path.stat().st_mtime_ns for path in output.glob("*.json")}
    assert run(caption_guidance, options) == 0
    assert {path: path.stat().st_mtime_ns for path in output.glob("*.json")} == stored


def test_wrong_settings_are_refused_in_one_sentence(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--photos", str(photos), "--held-out", str(photos), "--latent-encoder", "none.pth", "-o", "study"]
    assert run(caption_guidance, [*options, "--share", "0"]) == 2
    assert "a share above 0" in capsys.readouterr().err
