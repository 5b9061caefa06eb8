"""`unblur convert`: the authors' file in, a folder out that restores photographs."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from original_names import NAF_GOPRO, RESTORMER, waves
from PIL import Image
from safetensors.torch import save_file

from unblur.app.cli import main
from unblur.checkpoints.folder import load_checkpoint
from unblur.checkpoints.import_weights import choose_key_map
from unblur.checkpoints.published import get_published, make_published_card
from unblur.models import MIMOUNetConfig
from unblur.names import PublishedName


def convert(weights: Path, folder: Path, network: str) -> int:
    return main(["convert", str(weights), "-o", str(folder), "--network", network])


@pytest.mark.slow
def test_the_authors_file_becomes_a_checkpoint_that_restores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = MIMOUNetConfig()
    weights = waves(config)
    torch.save({"model": weights, "epoch": 3000}, tmp_path / "MIMO-UNet.pkl")
    assert convert(tmp_path / "MIMO-UNet.pkl", tmp_path / "mimo", "mimo-unet") == 0
    assert "mimo holds MIMO-UNet, weights" in capsys.readouterr().out
    checkpoint = load_checkpoint(tmp_path / "mimo")
    assert checkpoint.config == config
    assert checkpoint.train_patch_px == 256
    ours = checkpoint.model.state_dict()
    # To the last bit: nothing is rounded.
    assert all(torch.equal(ours[choose_key_map(config).rename(name)], value) for name, value in weights.items())
    card = (tmp_path / "mimo" / "README.md").read_text()
    assert "chosj95/MIMO-UNet" in card
    assert "MIMO-UNet.pkl" in card
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    assert main(["restore", str(tmp_path / "photo.png"), "--checkpoint", str(tmp_path / "mimo")]) == 0
    assert (tmp_path / "photo_unblurred.png").exists()


@pytest.mark.slow
def test_safetensors_become_a_checkpoint(tmp_path: Path) -> None:
    save_file(waves(NAF_GOPRO), tmp_path / "net.safetensors")
    assert convert(tmp_path / "net.safetensors", tmp_path / "naf", "nafnet") == 0
    assert load_checkpoint(tmp_path / "naf").config == NAF_GOPRO


def test_unsuitable_weights_are_refused_in_one_sentence_and_leave_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(waves(RESTORMER), tmp_path / "net.pth")
    assert convert(tmp_path / "net.pth", tmp_path / "out", "mimo-unet") == 2
    error = capsys.readouterr().err
    assert "entries missing" in error
    assert "not expected (" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert convert(tmp_path / "nowhere.pth", tmp_path / "out", "mimo-unet") == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_checkpoint_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.safetensors").write_bytes(b"weights of weeks")
    assert convert(tmp_path / "net.pth", tmp_path / "out", "mimo-unet") == 2
    assert "already" in capsys.readouterr().err
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == b"weights of weeks"


@pytest.mark.parametrize("name", get_args(PublishedName))
def test_every_card_names_origin_and_licence(name: PublishedName) -> None:
    network = get_published(name)
    card = make_published_card(network, "net.pth")
    assert choose_key_map(network.config).origin in card
    assert f"license: {network.licence_tag}\n" in card
    assert network.licence in card
