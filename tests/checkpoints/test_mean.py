"""The mean of several runs of one network."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from unblur.app.cli import main
from unblur.checkpoints.average import average_checkpoints
from unblur.checkpoints.folder import load_checkpoint, save_checkpoint
from unblur.errors import UnblurError
from unblur.models import NAFNetConfig, build

CONFIG = NAFNetConfig(width=8, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,), stem_stride=2)


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    folders = []
    for seed in range(3):
        torch.manual_seed(seed)
        folders.append(tmp_path / f"run{seed}")
        save_checkpoint(folders[-1], build(CONFIG), CONFIG, train_patch_px=64, card=f"# Run {seed}\n")
    return folders


def test_each_weight_is_the_mean_of_the_runs(runs: list[Path], tmp_path: Path) -> None:
    assert main(["bundle", *map(str, runs), str(runs[0]), "-o", str(tmp_path / "copy")]) == 0
    one, two, three = (load_checkpoint(folder).model.state_dict() for folder in runs)
    copy = load_checkpoint(tmp_path / "copy")
    for name, value in copy.model.state_dict().items():
        expected = (2 * one[name] + two[name] + three[name]) / 4
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-6)  # stored in half precision
    card = (tmp_path / "copy" / "README.md").read_text()
    assert card.startswith("# Run 0\n")
    assert all(load_checkpoint(folder).sha256[:12] in card for folder in runs)


def test_weights_in_eight_bits_are_near_the_mean(runs: list[Path], tmp_path: Path) -> None:
    names = [str(folder) for folder in runs[:2]]
    assert main(["bundle", *names, "-o", str(tmp_path / "half")]) == 0
    assert main(["bundle", *names, "-o", str(tmp_path / "eight"), "--eight-bits"]) == 0
    half, eight = (load_checkpoint(tmp_path / name).model.state_dict() for name in ("half", "eight"))
    for name, value in half.items():
        largest = value.abs().flatten(1).amax(dim=1) if value.ndim > 1 else value.abs().amax()
        error = (value - eight[name]).abs().flatten(1).amax(dim=1) if value.ndim > 1 else (value - eight[name]).abs()
        assert (error <= largest / 200 + 1e-6).all()
    with safe_open(tmp_path / "eight" / "model.safetensors", "pt") as stored:
        kinds = {stored.get_tensor(name).dtype for name in half if half[name].ndim > 1}
    assert kinds == {torch.int8}


def test_the_mean_of_a_run_with_itself_is_that_run(runs: list[Path]) -> None:
    one = load_checkpoint(runs[0])
    mean = average_checkpoints([one] * 3).model.state_dict()
    assert all(torch.equal(value, mean[name]) for name, value in one.model.state_dict().items())


def test_runs_of_different_networks_are_refused(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = replace(CONFIG, width=16)
    save_checkpoint(tmp_path / "other", build(other), other, train_patch_px=64, card="# Other\n")
    assert main(["bundle", str(runs[0]), str(tmp_path / "other"), "-o", str(tmp_path / "copy")]) == 2
    assert "there is a mean of runs of one network only" in capsys.readouterr().err
    assert not (tmp_path / "copy").exists()
    with pytest.raises(UnblurError, match="give the folder of one"):
        average_checkpoints([])
