"""Checkpoints that are not weights, or whose numbers are absurd, are refused in a sentence before they are built."""

import json
import os
import pickle
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from unblur.app.cli import main
from unblur.checkpoints.folder import BUNDLED_RESTORER, load_checkpoint, save_checkpoint
from unblur.checkpoints.latent_spaces import load_encoder
from unblur.checkpoints.num_scales import set_num_scales
from unblur.checkpoints.text_encoder import load_text_encoder
from unblur.config import from_json
from unblur.errors import UnblurError
from unblur.models import MultiScaleConfig, NAFNetConfig, build


class Evil:
    """Runs a command when it is unpickled by somebody who trusts it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch RUN",)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    config = NAFNetConfig(width=8, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,))
    save_checkpoint(tmp_path / "checkpoint", build(config), config, train_patch_px=64, card="")
    load_checkpoint(tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def refusal(folder: Path) -> str:
    began = time.monotonic()
    with pytest.raises(UnblurError) as caught:
        load_checkpoint(folder)
    assert time.monotonic() - began < 5
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


ABSURD: list[dict[str, Any]] = [
    {"width": 100_000_000},
    {"width": 999_999},
    {"width": -8},
    {"width": 0},
    {"width": 10**30},
    {"width": 7},
    {"middle_blocks": 10**9},
    {"encoder_blocks": [10**9]},
    {"encoder_blocks": [1] * 100},
    {"encoder_blocks": []},
    {"encoder_blocks": [-1]},
    {"width": "8"},
    {"width": None},
    {"kind": "Nothing"},
]


@pytest.mark.parametrize("change", ABSURD, ids=[json.dumps(change)[:40] for change in ABSURD])
def test_absurd_numbers_are_refused_before_anything_is_built(checkpoint: Path, change: dict[str, Any]) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    config["model"] |= change
    (checkpoint / "config.json").write_text(json.dumps(config))
    refusal(checkpoint)


@pytest.mark.parametrize("patch", [-5, 0, 10**9, 1.5, True, None])
def test_absurd_patches_are_refused(checkpoint: Path, patch: object) -> None:
    config = json.loads((checkpoint / "config.json").read_text()) | {"train_patch_px": patch}
    (checkpoint / "config.json").write_text(json.dumps(config))
    assert "train_patch_px" in refusal(checkpoint)


@pytest.mark.parametrize("text", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"null", b"[]", b'{"model": 1e999}', b"NaN"])
def test_invalid_configurations_are_refused(checkpoint: Path, text: bytes) -> None:
    (checkpoint / "config.json").write_bytes(text)
    refusal(checkpoint)


LIE = b'{"a":{"dtype":"F32","shape":[4000000000,4000000000],"data_offsets":[0,4]}}'
WEIGHTS = {
    "pickle": pickle.dumps(Evil()),
    "empty": b"",
    "shape": len(LIE).to_bytes(8, "little") + LIE + bytes(4),
    "header": (2**62).to_bytes(8, "little") + b"{}",
    "others": save({"a": torch.zeros(3)}),
    "text": b"no weights at all",
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_invalid_weights_are_refused(checkpoint: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkpoint)
    (checkpoint / "model.safetensors").write_bytes(WEIGHTS[name])
    refusal(checkpoint)
    assert not (checkpoint / "RUN").exists()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_pipes_are_refused_as_checkpoints(checkpoint: Path, name: str) -> None:
    (checkpoint / name).unlink()
    os.mkfifo(checkpoint / name)
    assert "named pipe" in refusal(checkpoint)


def test_invalid_numbers_are_refused() -> None:
    for text in ("NaN", "Infinity", "-Infinity"):
        with pytest.raises(UnblurError, match="not a finite number"):
            from_json(text, float)


def encoder_folder(folder: Path, weights: object) -> Path:
    folder.mkdir()
    config = {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 8, "num_attention_heads": 1}
    remote = {"auto_map": {"AutoModel": "evil.Evil", "AutoConfig": "evil.Config"}}
    (folder / "config.json").write_text(json.dumps(config | remote | {"num_hidden_layers": 1, "vocab_size": 9}))
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    (folder / "evil.py").write_text("import os\nos.system('touch RUN')\nclass Evil: pass\nclass Config: pass\n")
    torch.save(weights, folder / "pytorch_model.bin")
    return folder


@pytest.mark.parametrize("weights", [Evil(), {"x": Evil()}, 7, [1, 2]], ids=["evil", "inside", "number", "list"])
def test_text_encoders_with_invalid_weights_are_refused(
    tmp_path: Path, weights: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = encoder_folder(tmp_path / "encoder", weights)
    with pytest.raises(UnblurError, match="encoder is neither a folder nor a hub id") as caught:
        load_text_encoder(folder)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "RUN").exists()


@pytest.mark.parametrize(
    "name", ["evil.pkl", "evil.pth", "evil.safetensors", "empty.pth", "pipe.pth", "folder.pth", "no.pth"]
)
def test_convert_refuses_invalid_files_in_one_sentence(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Evil()))
    torch.save({"params": Evil()}, tmp_path / "evil.pth")
    (tmp_path / "evil.safetensors").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "empty.pth").touch()
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "folder.pth").mkdir()
    assert main(["convert", name, "-o", "out", "--network", "nafnet"]) == 2
    said = capfd.readouterr().err
    assert said.startswith(f"unblur: {name}")
    assert said.count("\n") == 1
    assert not (tmp_path / "RUN").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [{1: torch.zeros(2)}, {None: 1}, {"params": {"params": {"params": {}}}}])
def test_convert_reads_names_alone(tmp_path: Path, content: object, capfd: pytest.CaptureFixture[str]) -> None:
    torch.save(content, tmp_path / "odd.pth")
    assert main(["convert", str(tmp_path / "odd.pth"), "-o", str(tmp_path / "out"), "--network", "nafnet"]) == 2
    said = capfd.readouterr().err
    assert said.startswith(f"unblur: {tmp_path / 'odd.pth'}")
    assert said.count("\n") == 1


def test_convert_handles_a_wrapper_that_contains_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content: dict[str, Any] = {}
    content["params"] = content
    torch.save(content, tmp_path / "own.pth")
    assert main(["convert", str(tmp_path / "own.pth"), "-o", str(tmp_path / "out"), "--network", "nafnet"]) == 2
    assert "does not hold the weights" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["README.md", "config.json"])
def test_existing_files_are_not_overwritten_by_a_checkpoint(
    checkpoint: Path, tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text("mine")
    assert main(["bundle", str(checkpoint), "-o", str(tmp_path)]) == 2
    assert f"holds a {name} already" in capfd.readouterr().err
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("card", ["none", "pipe", "folder", "bytes"])
def test_bundle_reports_an_unreadable_card(
    checkpoint: Path, tmp_path: Path, card: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = checkpoint / "README.md"
    path.unlink()
    if card == "pipe":
        os.mkfifo(path)
    elif card == "folder":
        path.mkdir()
    elif card == "bytes":
        path.write_bytes(b"\xff\xfe")
    assert main(["bundle", str(checkpoint), "-o", str(tmp_path / "out")]) == 2
    said = capfd.readouterr().err
    assert said.startswith(f"unblur: {path} cannot be read")
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_names_are_printed_on_one_line(photos: Path, capfd: pytest.CaptureFixture[str]) -> None:
    photo = min(photos.iterdir())
    assert main(["restore", str(photo), "--checkpoint", "a\nb\x1b[31m"]) == 2
    assert "a\\nb\\x1b[31m" in capfd.readouterr().err


@pytest.mark.parametrize("content", [b"hello", b"", pickle.dumps(Evil()), b"PK\x03\x04", b"\x80\x02."])
@pytest.mark.parametrize("name", ["encoder.pth", "encoder.safetensors"])
def test_invalid_encoders_are_refused(
    tmp_path: Path, name: str, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnblurError, match=f"{name} holds no weights that can be read") as caught:
        load_encoder(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "RUN").exists()


def test_absurd_sizes_are_refused() -> None:
    with pytest.raises(UnblurError, match="8 at most"):
        set_num_scales(load_checkpoint(BUNDLED_RESTORER), 99_999)
    with pytest.raises(ValueError, match="too many for a photograph"):
        MultiScaleConfig(
            nafnet=NAFNetConfig(width=8, encoder_blocks=(), middle_blocks=1, decoder_blocks=()), scales=99_999
        )
