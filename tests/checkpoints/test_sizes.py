"""Weights that learnt at some sizes of a photograph can be used at fewer or more."""

from pathlib import Path

import pytest
import torch

from unblur.app.cli import main
from unblur.checkpoints.folder import load_checkpoint, save_checkpoint
from unblur.models import MultiScaleConfig, NAFNetConfig, build

NAFNET = NAFNetConfig(width=8, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,), stem_stride=2)


def test_a_copy_with_fewer_scales_has_the_same_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = MultiScaleConfig(nafnet=NAFNET, scales=4, channels=4, blocks=1)
    network = build(config)
    for part in ("nafnet.ending", "fusion.ending"):
        network.get_submodule(part).reset_parameters()
    save_checkpoint(tmp_path / "four", network, config, train_patch_px=64, card="tiny\n")
    assert main(["bundle", str(tmp_path / "four"), "--scales", "2", "-o", str(tmp_path / "two")]) == 0
    four, two = load_checkpoint(tmp_path / "four"), load_checkpoint(tmp_path / "two")
    assert isinstance(two.config, MultiScaleConfig)
    assert two.config.scales == 2
    stored = two.model.state_dict()
    assert all(torch.equal(value.half(), stored[name].half()) for name, value in four.model.state_dict().items())
    blurry = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(two.model(blurry), four.model(blurry))
    assert "restores at 2 scales" in (tmp_path / "two" / "README.md").read_text()

    assert main(["bundle", str(tmp_path / "four"), "--scales", "1", "-o", str(tmp_path / "one")]) == 2
    assert "give 2 or more" in capsys.readouterr().err
    save_checkpoint(tmp_path / "nafnet", build(NAFNET), NAFNET, train_patch_px=64, card="tiny\n")
    assert main(["bundle", str(tmp_path / "nafnet"), "--scales", "3", "-o", str(tmp_path / "three")]) == 2
    assert "restores at one scale" in capsys.readouterr().err
