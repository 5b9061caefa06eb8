"""A checkpoint gives back what was saved, says what it is, and refuses to be half of it."""

import errno
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from unblur.checkpoints.folder import load_checkpoint, save_checkpoint, write_atomically
from unblur.errors import UnblurError
from unblur.models import NAFNetConfig, build

TINY = NAFNetConfig(width=8, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,), stem_stride=2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "net", build(TINY), TINY, train_patch_px=64, card="# tiny\n")
    return tmp_path / "net"


def test_round_trip(tmp_path: Path) -> None:
    model = build(TINY)
    save_checkpoint(tmp_path, model, TINY, train_patch_px=96, card="# tiny\n", dtype=torch.float32)
    checkpoint = load_checkpoint(tmp_path)
    assert (checkpoint.config, checkpoint.train_patch_px) == (TINY, 96)
    assert not checkpoint.model.training
    for name, value in model.state_dict().items():
        assert torch.equal(checkpoint.model.state_dict()[name], value)


def test_half_precision_is_within_its_rounding(folder: Path) -> None:
    blurry = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert load_checkpoint(folder).model(blurry).dtype == torch.float32
    assert (folder / "model.safetensors").stat().st_size < 2.5 * sum(p.numel() for p in build(TINY).parameters()) + 5000


def test_a_weights_file_describes_its_network(folder: Path) -> None:
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert json.loads(file.metadata()["unblur_config"])["model"]["width"] == 8


def test_a_missing_checkpoint_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match=r"No checkpoint at .*nowhere"):
        load_checkpoint(tmp_path / "nowhere")


def test_damaged_weights_are_refused(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UnblurError, match="damaged"):
        load_checkpoint(folder)


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"width": 8', '"width": 12'))
    with pytest.raises(UnblurError, match="does not fit"):
        load_checkpoint(folder)


def test_a_misspelt_key_is_refused_by_name(folder: Path) -> None:
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"width"', '"widht"'))
    with pytest.raises(UnblurError, match="widht"):
        load_checkpoint(folder)


def test_the_hash_names_the_weights(folder: Path, tmp_path: Path) -> None:
    first = load_checkpoint(folder).sha256
    save_checkpoint(tmp_path / "other", build(TINY), TINY, train_patch_px=64, card="")
    assert load_checkpoint(tmp_path / "other").sha256 != first == load_checkpoint(folder).sha256


def test_atomic_writing_leaves_the_old_file_when_it_fails(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomically(target, b"old")
    with pytest.raises(TypeError):
        write_atomically(target, "not bytes")  # type: ignore[arg-type]
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_write_error_names_the_file(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(OSError, match=os.strerror(code)) as caught:
        write_atomically(tmp_path / "file", b"new")
    assert (caught.value.errno, caught.value.filename) == (code, str(tmp_path / "file"))
    assert not list(tmp_path.iterdir())


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        write_atomically(tmp_path / "file", b"new")
    assert caught.value.filename == str(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_pipes_and_devices_are_not_replaced(tmp_path: Path) -> None:
    """Root could replace /dev/stdout by a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(pipe, b"told")
    assert os.read(reader, 10) == b"told"
    os.close(reader)
    assert pipe.is_fifo()
    (tmp_path / "device").symlink_to(os.devnull)
    write_atomically(tmp_path / "device", b"told")
    assert (tmp_path / "device").is_symlink()
