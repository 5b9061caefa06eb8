"""`unblur export` writes a file that other programs open, or reports one error."""

import hashlib
import sys
from pathlib import Path

import pytest
import torch
from tiny_networks import GLOW

from unblur.app.cli import main
from unblur.checkpoints.folder import save_checkpoint
from unblur.models import ModelConfig, NAFNetConfig, build

onnx = pytest.importorskip("onnx")

TINY = NAFNetConfig(width=4, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,), stem_stride=2)


def checkpoint(
    folder: Path, config: ModelConfig = TINY, card: str = "---\nlicense: mit\n---\n# tiny-network\n"
) -> Path:
    torch.manual_seed(0)
    save_checkpoint(folder, build(config), config, train_patch_px=64, card=card)
    return folder


def export(kind: str, output: Path, folder: Path, *options: str) -> int:
    return main(["export", kind, "-o", str(output), "--checkpoint", str(folder), *options])


def test_a_checkpoint_becomes_an_onnx_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = checkpoint(tmp_path / "tiny")
    sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert export("onnx", tmp_path / "a.onnx", folder) == 0
    report = capsys.readouterr().out
    assert f"a.onnx: tiny-network, weights {sha256[:12]}, 0.0 MB. Licence of the weights: mit.\n" in report
    metadata = {entry.key: entry.value for entry in onnx.load(tmp_path / "a.onnx").metadata_props}
    assert (metadata["name"], metadata["licence"], metadata["checkpoint_sha256"]) == ("tiny-network", "mit", sha256)
    assert export("onnx", tmp_path / "fast.onnx", folder, "--mode", "fast") == 0
    kinds = {node.op_type for node in onnx.load(tmp_path / "fast.onnx").graph.node}
    assert {"AveragePool", "Resize"} <= kinds
    # Equal networks make equal files.
    assert export("onnx", tmp_path / "b.onnx", folder) == 0
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_a_checkpoint_becomes_an_archive_for_darktable(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "tiny")
    assert export("dtmodel", tmp_path / "denoise-tiny.dtmodel", folder) == 0
    assert export("dtmodel", tmp_path / "again" / "denoise-tiny.dtmodel", folder) == 2
    (tmp_path / "again").mkdir()
    assert export("dtmodel", tmp_path / "again" / "denoise-tiny.dtmodel", folder) == 0
    archives = [(parent / "denoise-tiny.dtmodel").read_bytes() for parent in (tmp_path, tmp_path / "again")]
    assert archives[0] == archives[1]


def test_a_checkpoint_becomes_openvinos_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openvino")
    folder = checkpoint(tmp_path / "tiny")
    assert export("openvino", tmp_path / "a.xml", folder) == 0
    assert (tmp_path / "a.bin").exists()
    (tmp_path / "a.xml").unlink()
    assert export("openvino", tmp_path / "a.xml", folder) == 2
    assert "a.bin exists already" in capsys.readouterr().err


def test_the_licence_is_unknown_where_the_card_names_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export("onnx", tmp_path / "a.onnx", checkpoint(tmp_path / "tiny", card="")) == 0
    report = capsys.readouterr().out
    assert ": tiny, weights" in report
    assert "Licence of the weights: unknown." in report


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("onnx", "a.xml", "is not a name for onnx; give a name that ends in .onnx."),
        ("openvino", "a.onnx", "is not a name for openvino; give a name that ends in .xml."),
        ("dtmodel", "a", "is not a name for dtmodel; give a name that ends in .dtmodel."),
        ("dtmodel", "my photos.dtmodel", "and rejects 'my photos'; use letters"),
        ("onnx", "there.onnx", "there.onnx exists already; give another name."),
        ("onnx", "nowhere/a.onnx", "cannot be written: No such file or directory; choose another place."),
    ],
)
def test_errors_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, name: str, message: str
) -> None:
    (tmp_path / "there.onnx").write_bytes(b"precious")
    assert export(kind, tmp_path / name, checkpoint(tmp_path / "tiny")) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert (tmp_path / "there.onnx").read_bytes() == b"precious"


def test_the_generative_network_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export("onnx", tmp_path / "a.onnx", checkpoint(tmp_path / "glow", GLOW)) == 2
    assert "holds a generative network, which cannot be exported; give another checkpoint." in capsys.readouterr().err


@pytest.mark.parametrize(("missing", "extra"), [("onnx", "export"), ("openvino", "openvino")])
def test_a_missing_package_is_named_with_its_extra(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, missing: str, extra: str
) -> None:
    folder = checkpoint(tmp_path / "tiny")
    monkeypatch.setitem(sys.modules, missing, None)
    assert export("openvino", tmp_path / "a.xml", folder) == 2
    assert f"pip install 'unblur[{extra}]'" in capsys.readouterr().err
    assert list(tmp_path.glob("a.*")) == []
