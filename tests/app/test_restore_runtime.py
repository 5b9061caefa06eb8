"""`unblur restore --runtime` restores with another runtime, or reports one error."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from unblur.app.cli import main
from unblur.checkpoints.folder import save_checkpoint
from unblur.models import NAFNetConfig, build
from unblur.photos.photo import Photo
from unblur.photos.reading import read_photo
from unblur.photos.writing import write_photo

TINY = NAFNetConfig(width=4, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,), stem_stride=2)


def test_a_photograph_is_restored_by_onnx_runtime(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.manual_seed(0)
    network = build(TINY).requires_grad_(False)
    for weights in network.parameters():
        weights.add_(0.05 * torch.randn(weights.shape))
    save_checkpoint(tmp_path / "tiny", network, TINY, train_patch_px=64, card="")
    write_photo(Photo(pixels=np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)), tmp_path / "a.png")
    for runtime in ("torch", "onnx"):
        options = ["--runtime", runtime, "--checkpoint", str(tmp_path / "tiny"), "--tile", "64", "--json"]
        assert main(["restore", str(tmp_path / "a.png"), "-o", str(tmp_path / f"{runtime}.png"), *options]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["change"] > 0.001
    restored = [read_photo(tmp_path / f"{name}.png").pixels.astype(int) for name in ("torch", "onnx")]
    # bfloat16, where PyTorch uses it, has fewer digits.
    assert np.abs(restored[0] - restored[1]).max() <= 2


def test_the_generative_mode_runs_in_pytorch_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restore", "a.png", "--mode", "generative", "--runtime", "onnx"]) == 2
    assert "--mode generative runs in PyTorch only; leave out --runtime onnx." in capsys.readouterr().err
