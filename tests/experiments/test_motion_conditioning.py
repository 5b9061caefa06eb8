"""Motion conditioning: the conditioned network, the paths that it gets, and one tiny study that is made once."""

import csv
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from experiments.conditioned_nafnet import CONDITIONED_STRIDES_PX, ConditionedNAFNet, Mechanism, sample_at
from experiments.harness import run
from experiments.motion_conditioning import motion_conditioning
from experiments.motion_pairs import (
    MotionPairs,
    compute_line_errors_px,
    draw_line,
    measure_length_px,
    sample_path,
)
from unblur.blur import MotionField
from unblur.checkpoints.folder import save_checkpoint
from unblur.models import NAFNetConfig
from unblur.models.nafnet import NAFNet

CONFIG = NAFNetConfig(width=8, encoder_blocks=(1, 1, 1), middle_blocks=1, decoder_blocks=(1, 1, 1), stem_stride=2)


def make_nafnet() -> NAFNet:
    network = NAFNet(CONFIG)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


@pytest.mark.parametrize("mechanism", get_args(Mechanism))
@pytest.mark.parametrize("side", [48, 40])
def test_conditioning_changes_nothing_at_first_and_depends_on_paths_later(mechanism: Mechanism, side: int) -> None:
    torch.manual_seed(0)
    nafnet = make_nafnet()
    network = ConditionedNAFNet(nafnet, mechanism).eval()
    blurry, paths = torch.rand(2, 3, side, 32), torch.randn(2, 16, side // 8, 4)
    with torch.inference_mode():
        torch.testing.assert_close(network(blurry, paths), nafnet(blurry))
    for conditions in (network.encoder_conditions, network.decoder_conditions):
        assert set(conditions) == {str(stride) for stride in CONDITIONED_STRIDES_PX}
        for layer in conditions.values():
            torch.nn.init.normal_(layer.get_parameter("project.weight"), std=0.1)
    with torch.inference_mode():
        assert not torch.allclose(network(blurry, paths), network(blurry, -2 * paths), atol=1e-4)


def test_sampling_at_whole_offsets_is_shifting() -> None:
    features = torch.rand(1, 3, 8, 10)
    offset = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1).expand(1, 2, 8, 10)
    sampled = sample_at(features, offset)
    torch.testing.assert_close(sampled[:, :, 1:, :8], features[:, :, :-1, 2:])
    # Outside of the frame the border continues.
    torch.testing.assert_close(sampled[:, :, 1:, 9], features[:, :, :-1, 9])


def test_paths_are_sampled_at_equal_times_from_left_to_right() -> None:
    times = torch.linspace(0, 1, 15)
    offsets = torch.stack([10 - 20 * times, 4 * times], dim=1)[:, :, None, None].expand(-1, -1, 1, 2)
    path = sample_path(MotionField(offsets=offsets, stride_px=8))
    expected = draw_line(torch.tensor([-10.0, 4.0]).view(2, 1, 1), torch.tensor([10.0, 0.0]).view(2, 1, 1))
    torch.testing.assert_close(path, expected.expand(-1, 1, 2))
    assert measure_length_px(path.numpy().astype(np.float16)) == pytest.approx(np.hypot(20, 4), rel=1e-3)
    still = sample_path(MotionField(offsets=torch.zeros(1, 2, 3, 3), stride_px=8))
    torch.testing.assert_close(still, torch.zeros(16, 3, 3))


def test_line_errors_are_distances_of_the_ends_either_way_round() -> None:
    start, end = torch.tensor([-3.0, 0.0]).view(2, 1, 1), torch.tensor([3.0, 0.0]).view(2, 1, 1)
    true = draw_line(start, end).expand(16, 2, 2).numpy().astype(np.float16)[None]
    turned = draw_line(end, start).expand(16, 2, 2).numpy().astype(np.float16)[None]
    longer = draw_line(2 * start, 2 * end).expand(16, 2, 2).numpy().astype(np.float16)[None]
    images = np.zeros((1, 3, 16, 16), np.uint8)
    pairs = MotionPairs(
        blurry=images,
        sharp=images,
        true_paths=true,
        true_ends=true,
        estimated=turned,
        solved=longer,
        finished=np.ones(1, np.bool_),
    )
    assert compute_line_errors_px(pairs, "estimated") == [0.0]
    assert compute_line_errors_px(pairs, "solved") == [3.0]


@pytest.mark.slow
def test_a_study_is_made_once_and_compares_the_same_pairs(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_checkpoint(tmp_path / "before", make_nafnet(), CONFIG, train_patch_px=32, card="")
    output = tmp_path / "study"
    options = ["--photos", str(photos), "--held-out", str(photos), "-o", str(output), "--steps", "2", "--batch", "1"]
    options += [
        "--patch",
        "32",
        "--size",
        "64",
        "--pairs",
        "5",
        "--seeds",
        "1",
        "--checkpoint",
        str(tmp_path / "before"),
    ]
    assert run(motion_conditioning, [*options, "--pairs-only"]) == 0
    assert not list(output.glob("*.csv"))
    for start in "01":
        assert run(motion_conditioning, [*options, "--start", start, "--every", "2"]) == 0
    assert capsys.readouterr().out == ""
    stored = {path: path.stat().st_mtime_ns for path in output.glob("*-seed1.json")}
    assert len(stored) == 7

    assert run(motion_conditioning, [*options, "--plot", str(tmp_path / "plot.png")]) == 0
    assert {path: path.stat().st_mtime_ns for path in output.glob("*-seed1.json")} == stored
    assert (tmp_path / "plot.png").stat().st_size > 0
    rows = list(csv.DictReader((output / "motion-conditioning.csv").read_text().splitlines()))
    # Networks that were trained with lines are measured with two or three kinds of them.
    assert len(rows) == (2 + 1 + 2 * 2 + 2 + 3) * 5
    before = {row["pair"]: row["psnr_before_db"] for row in rows}
    assert all(row["psnr_before_db"] == before[row["pair"]] for row in rows)

    # The folder belongs to these settings.
    assert run(motion_conditioning, [*options, "--steps", "3"]) == 2
    assert "other steps" in capsys.readouterr().err


def test_wrong_settings_are_refused_in_one_sentence(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--photos", str(photos), "--held-out", str(photos), "-o", str(tmp_path / "study")]
    for wrong, message in ((["--patch", "36"], "multiples of 8"), (["--pairs", "4"], "five measured pairs")):
        assert run(motion_conditioning, [*options, *wrong]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "study").exists()
