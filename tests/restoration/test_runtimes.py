"""PyTorch, ONNX Runtime and OpenVINO restore photographs equally."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from unblur.checkpoints.folder import save_checkpoint
from unblur.errors import UnblurError
from unblur.models import MultiScaleConfig, NAFNetConfig, RestorerConfig, RestormerConfig, build
from unblur.names import Precision, Runtime
from unblur.restoration.device import has_fast_bfloat16
from unblur.restoration.graph_cache import cache_folder
from unblur.restoration.loading import load
from unblur.restoration.restorer import Restorer
from unblur.restoration.runtimes import OnnxRuntime, TorchRuntime, choose_runtime

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

NAFNET = NAFNetConfig(width=8, encoder_blocks=(1, 1), middle_blocks=1, decoder_blocks=(1, 1), stem_stride=2)
THREE_SCALES = MultiScaleConfig(nafnet=NAFNET, channels=8, blocks=1, condition_on_coarser=True)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "unblur"


def save_random(folder: Path, config: RestorerConfig = THREE_SCALES) -> Path:
    """Save a network with random weights, because networks are initialised as the identity."""
    generator = torch.Generator().manual_seed(0)
    network = build(config).requires_grad_(False)
    for weights in network.parameters():
        weights.add_(0.03 * torch.randn(weights.shape, generator=generator))
    save_checkpoint(folder, network, config, train_patch_px=64, card="")
    return folder


def open_restorer(folder: Path, runtime: Runtime, *, fast: bool = False, precision: Precision = "float32") -> Restorer:
    return load(folder, "cpu", precision, mode="fast" if fast else "faithful", shake="off", runtime=runtime)


def picture(height: int, width: int) -> NDArray[np.float32]:
    return np.random.default_rng(height).random((height, width, 3), np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
@pytest.mark.parametrize("fast", [False, True])
def test_runtimes_agree_at_odd_sizes_and_in_tiles(tmp_path: Path, runtime: Runtime, fast: bool) -> None:
    pytest.importorskip("onnxruntime" if runtime == "onnx" else runtime)
    folder = save_random(tmp_path / "tiny")
    expected, restorer = (open_restorer(folder, name, fast=fast) for name in ("torch", runtime))
    # The window of local pooling, 96 px, is smaller than the largest picture.
    for size, tile in (((37, 53), 0), ((131, 203), 0), ((131, 203), 64)):
        blurry = picture(*size)
        restored = restorer.restore(blurry, tile=tile)
        correct = expected.restore(blurry, tile=tile)
        assert np.abs(correct - blurry).max() > 5 / 255
        assert np.abs(restored - correct).max() < 0.1 / 255
        assert np.array_equal(restored, restorer.restore(blurry, tile=tile))


@pytest.mark.slow
@pytest.mark.skipif(not has_fast_bfloat16(torch.device("cpu")), reason="needs a processor that computes in bfloat16")
def test_openvino_in_bfloat16_is_as_exact_as_pytorch(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    folder = save_random(tmp_path / "tiny")
    blurry = picture(131, 203)
    correct = open_restorer(folder, "torch").restore(blurry)
    runtimes: tuple[Runtime, ...] = ("torch", "openvino")
    errors = [np.abs(open_restorer(folder, name, precision="bfloat16").restore(blurry) - correct) for name in runtimes]
    assert 0 < errors[1].max() < 1.5 * errors[0].max()
    assert errors[1].mean() < 1 / 255


def test_images_of_a_batch_are_restored_alone(tmp_path: Path) -> None:
    restorer = open_restorer(save_random(tmp_path / "tiny"), "onnx")
    batch = torch.from_numpy(np.stack([picture(64, 48), picture(64, 48)[::-1]])).permute(0, 3, 1, 2)
    restored = restorer.apply_network(batch)
    assert torch.equal(restored, torch.cat([restorer.apply_network(image[None]) for image in batch]))


@pytest.mark.slow
def test_graphs_are_exported_once(tmp_path: Path, cache: Path) -> None:
    folder = save_random(tmp_path / "tiny")
    assert cache_folder() == cache
    first = open_restorer(folder, "onnx").restore(picture(64, 48))
    (stored,) = cache.iterdir()
    graph = stored.read_bytes()
    # An earlier version, a file that was cut off, and one with a flipped bit.
    for damaged in (b"", graph[:100], graph[:-1] + bytes([graph[-1] ^ 1]), graph[32:]):
        stored.write_bytes(damaged)
        assert np.array_equal(open_restorer(folder, "onnx").restore(picture(64, 48)), first)
        assert stored.read_bytes() == graph
    written = stored.stat().st_mtime_ns
    open_restorer(folder, "onnx")
    assert stored.stat().st_mtime_ns == written
    # Other graphs of the same weights.
    open_restorer(folder, "onnx", fast=True)
    load(folder, "cpu", pooling_window_px=32, shake="off", runtime="onnx")
    assert len(list(cache.iterdir())) == 3


def test_nothing_is_stored_where_no_folder_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    open_restorer(save_random(tmp_path / "tiny"), "onnx").restore(picture(64, 48))
    assert (tmp_path / "cache").read_text() == "a file"


@pytest.mark.parametrize(("runtime", "package"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_a_missing_package_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: Runtime, package: str
) -> None:
    folder = save_random(tmp_path / "tiny")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UnblurError, match=rf"needs {package}.*unblur\[{runtime}\]"):
        open_restorer(folder, runtime)


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_the_automatic_choice_is_pytorch_where_nothing_else_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    folder = save_random(tmp_path / "tiny")
    assert isinstance(open_restorer(folder, "auto")._run, OnnxRuntime)
    monkeypatch.setitem(sys.modules, missing, None)
    for stored in (cache_folder() or tmp_path).iterdir():
        stored.unlink()
    assert isinstance(open_restorer(folder, "auto")._run, TorchRuntime)


def test_a_network_that_cannot_be_exported_is_run_by_pytorch(tmp_path: Path) -> None:
    config = RestormerConfig(width=8, blocks=(1, 1, 1, 1), heads=(1, 1, 1, 1), refinement_blocks=1)
    folder = save_random(tmp_path / "tiny", config)
    assert isinstance(open_restorer(folder, "auto")._run, TorchRuntime)
    with pytest.raises(UnblurError, match="cannot be exported yet"):
        open_restorer(folder, "onnx")


def test_the_automatic_choice_depends_on_the_precision_and_the_device() -> None:
    cpu, accelerator = torch.device("cpu"), torch.device("cuda")
    assert choose_runtime("auto", cpu, "float32") == "onnx"
    assert choose_runtime("auto", cpu, "bfloat16") == "torch"
    assert choose_runtime("auto", accelerator, "float32") == "torch"
    assert choose_runtime("openvino", cpu, "float32") == "openvino"


def test_exported_networks_run_on_the_processor_only(tmp_path: Path) -> None:
    folder = save_random(tmp_path / "tiny")
    with pytest.raises(UnblurError, match='ONNX Runtime restores on the CPU only, not on "cuda"'):
        load(folder, "cuda", shake="off", runtime="onnx")
