"""Flicker is measured on clips whose truth is known, against restoring every frame."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments import video_flicker
from experiments.harness import run
from unblur.videos.blurred_frames import measure_sharpness


def photograph() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (300, 440, 3), np.uint8)


def test_frames_of_a_shaken_camera_are_blurred_and_their_truth_is_not() -> None:
    blurry, sharp = video_flicker.simulate_clip(photograph())
    measured = [
        measure_sharpness(frame[..., 1]) / measure_sharpness(true[..., 1])
        for frame, true in zip(blurry, sharp, strict=True)
    ]
    assert max(measured[index] for index in video_flicker.SHAKES) < 0.5
    assert min(value for index, value in enumerate(measured) if index not in video_flicker.SHAKES) > 0.7


@pytest.mark.slow
def test_the_command_writes_a_table(tmp_path: Path, tiny_checkpoint: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(video_flicker, "FRAMES", 3)
    monkeypatch.setattr(video_flicker, "SHAKES", {1: 8.0})
    (tmp_path / "photos").mkdir()
    Image.fromarray(photograph()).save(tmp_path / "photos" / "a.png")
    arguments = [
        "--photos",
        str(tmp_path / "photos"),
        "-o",
        str(tmp_path / "out"),
        "--checkpoint",
        str(tiny_checkpoint),
    ]
    assert run(video_flicker.video_flicker, arguments) == 0
    with (tmp_path / "out" / "video_flicker.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["frames"], row["of"]) for row in rows] == [("none", "3"), ("blurred", "3"), ("all", "3")]
    assert rows[0]["change_jump"] == "0.0"
    assert rows[2]["restored"] == "3"
    assert float(rows[0]["sharpness_jump"]) > 0.5
    assert "| all | 100% |" in capsys.readouterr().out


def test_nothing_to_measure_is_said(tmp_path: Path, tiny_checkpoint: Path, capsys) -> None:
    assert run(video_flicker.video_flicker, ["-o", str(tmp_path), "--checkpoint", str(tiny_checkpoint)]) == 2
    assert "name a video" in capsys.readouterr().err
