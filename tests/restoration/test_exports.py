"""Exported networks agree with PyTorch in three runtimes and at any size."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.models import (
    MIMOUNetConfig,
    MultiScaleConfig,
    NAFNetConfig,
    PlainUNetConfig,
    RestorerConfig,
    RestormerConfig,
    UNetConfig,
    build,
)
from unblur.models.multiscale import HalfResolution
from unblur.models.pooling import use_local_pooling
from unblur.restoration.exported_files import (
    DARKTABLE_CUT_PX,
    build_darktable_archive,
    build_openvino_files,
    choose_darktable_window_px,
)
from unblur.restoration.loading import load
from unblur.restoration.onnx_export import OUTPUT, TILE_PX, NetworkDescription, build_onnx_model

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

SIZES = ((37, 53), (64, 64), (130, 97))

TOLERANCE = 2e-5
"""Largest relative error: a two-hundredth of a level of 8 bits, where a whole level is promised."""

DESCRIPTION = NetworkDescription(name="tiny", summary="A network.", licence="apache-2.0", checkpoint_sha256="0" * 64)

NAFNET = NAFNetConfig(width=8, encoder_blocks=(1, 1), middle_blocks=1, decoder_blocks=(1, 1), stem_stride=2)
THREE_SCALES = MultiScaleConfig(nafnet=NAFNET, channels=8, blocks=1, condition_on_coarser=True)

NETWORKS: dict[str, RestorerConfig] = {
    "nafnet": NAFNET,
    "nafnet without a stem": NAFNetConfig(width=4, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,)),
    "three scales": THREE_SCALES,
    "plain": PlainUNetConfig(channels=(8, 16), blocks=(1, 1)),
    "unet": UNetConfig(channels=(4, 8), blocks=1, stem_stride=2, expanded=6),
    "mimo-unet": MIMOUNetConfig(width=4, blocks=1),
}


def random_network(config: RestorerConfig, window_px: int | None = 48) -> nn.Module:
    """Return a network with random weights, because networks are initialised as the identity."""
    generator = torch.Generator().manual_seed(0)
    network = build(config).eval().requires_grad_(False)
    for weights in network.parameters():
        weights.add_(0.1 * torch.randn(weights.shape, generator=generator))
    use_local_pooling(network, window_px)
    return network


def picture(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height + width))


def run_by_onnxruntime(model: bytes) -> Callable[[Tensor], Tensor]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return lambda blurry: torch.from_numpy(session.run([OUTPUT], {"input": blurry.numpy()})[0])


def error(network: nn.Module, restore: Callable[[Tensor], Tensor], blurry: Tensor) -> float:
    """Return the largest error relative to the largest output: random weights give values in the hundreds."""
    with torch.inference_mode():
        expected = network(blurry)
    assert (expected - blurry).abs().max() > 0.02
    return float((restore(blurry) - expected.clamp(0, 1)).abs().max() / expected.abs().max().clamp(min=1))


def errors(network: nn.Module, restore: Callable[[Tensor], Tensor]) -> list[float]:
    return [error(network, restore, picture(*size)) for size in SIZES]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("window_px", [48, None])
def test_onnx_runtime_agrees_with_pytorch_at_any_size(name: str, window_px: int | None) -> None:
    network = random_network(NETWORKS[name], window_px)
    restore = run_by_onnxruntime(build_onnx_model(network, DESCRIPTION))
    assert max(*errors(network, restore), error(network, restore, picture(5, 90))) < TOLERANCE


def test_the_fast_mode_is_exported() -> None:
    network = HalfResolution(random_network(NAFNET))
    assert max(errors(network, run_by_onnxruntime(build_onnx_model(network, DESCRIPTION)))) < TOLERANCE


def test_the_metadata_describe_the_network() -> None:
    model = onnx.load_from_string(build_onnx_model(random_network(NAFNET), DESCRIPTION))
    onnx.checker.check_model(model, full_check=True)
    assert [opset.version for opset in model.opset_import] == [17]
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata == DESCRIPTION.metadata()
    assert (metadata["licence"], metadata["multiple_of_px"], metadata["tile_px"]) == ("apache-2.0", "1", "768")
    for value, name in ((model.graph.input, "input"), (model.graph.output, "output")):
        assert [one.name for one in value] == [name]
        sides = value[0].type.tensor_type.shape.dim
        assert [side.dim_value for side in sides[:2]] == [1, 3]
        assert [side.dim_param for side in sides[2:]] == ["height", "width"]


def test_weights_are_stored_once_for_all_scales() -> None:
    network = random_network(THREE_SCALES)
    expected = sum(weights.numel() for weights in network.parameters()) * 4
    weights = onnx.load_from_string(build_onnx_model(network, DESCRIPTION)).graph.initializer
    stored = sum(onnx.numpy_helper.to_array(each).nbytes for each in weights)
    assert 0.9 * expected < stored < 1.5 * expected


def test_values_are_limited_to_the_range() -> None:
    network = random_network(NAFNET)
    with torch.inference_mode():
        assert network(picture(64, 64)).max() > 1
    restored = run_by_onnxruntime(build_onnx_model(network, DESCRIPTION))(picture(64, 64))
    assert 0 <= restored.min() <= restored.max() <= 1


def test_opencv_agrees_with_pytorch() -> None:
    cv2 = pytest.importorskip("cv2")
    if int(cv2.__version__.split(".")[0]) < 5:
        pytest.skip("the export was only tried with OpenCV 5.0")
    network = random_network(THREE_SCALES)
    net = cv2.dnn.readNetFromONNX(np.frombuffer(build_onnx_model(network, DESCRIPTION), np.uint8))

    def restore(blurry: Tensor) -> Tensor:
        net.setInput(blurry.numpy(), "input")
        return torch.from_numpy(net.forward(OUTPUT))

    assert max(errors(network, restore)) < TOLERANCE


@pytest.mark.slow
def test_openvino_agrees_with_pytorch(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    network = random_network(THREE_SCALES)
    xml, weights = build_openvino_files(build_onnx_model(network, DESCRIPTION), DESCRIPTION)
    (tmp_path / "tiny.xml").write_bytes(xml)
    (tmp_path / "tiny.bin").write_bytes(weights)
    core = openvino.Core()
    model = core.read_model(tmp_path / "tiny.xml")
    assert model.get_rt_info(["unblur", "licence"]).value == "apache-2.0"
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def restore(blurry: Tensor) -> Tensor:
        return torch.from_numpy(compiled([blurry.numpy()])[0])

    assert max(errors(network, restore)) < 10 * TOLERANCE


def unpacked(archive: bytes, folder: Path) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        packed.extractall(folder)
        return packed.namelist()


def test_darktables_archive_has_the_layout_that_it_reads(tmp_path: Path) -> None:
    """Compare with the rules of docs/dtmodel-format.md in darktable-ai-sdk."""
    archive = build_darktable_archive(random_network(NAFNET), DESCRIPTION, "denoise-tiny", "# Card\n")
    names = unpacked(archive, tmp_path)
    assert sorted(names) == ["denoise-tiny/README.md", "denoise-tiny/config.json", "denoise-tiny/model.onnx"]
    config = json.loads((tmp_path / "denoise-tiny" / "config.json").read_text())
    values = [config[key] for key in ("id", "task", "backend", "spatial_dims")]
    assert values == ["denoise-tiny", "denoise", "onnx", ["height", "width"]]
    assert all(isinstance(config[key], str) for key in ("name", "description", "version"))
    assert config["attributes"] == {"input_sizes": [768]}
    session = onnxruntime.InferenceSession(tmp_path / "denoise-tiny" / "model.onnx", providers=["CPUExecutionProvider"])
    assert [session.get_inputs()[0].shape, session.get_outputs()[0].shape] == [[1, 3, 768, 768]] * 2


def test_darktables_own_tool_finds_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # From darktable-ai-sdk, by the darktable developers, GPL-3. It is not a dependency of this package or of its tests.
    sdk = pytest.importorskip("dt_ai_sdk")
    unpacked(
        build_darktable_archive(random_network(NAFNET), DESCRIPTION, "denoise-tiny", "# Card\n"), tmp_path / "output"
    )
    (tmp_path / "models" / "denoise-tiny").mkdir(parents=True)
    (tmp_path / "models" / "denoise-tiny" / "model.yaml").write_text(
        "id: denoise-tiny\nname: tiny\ndescription: A network.\ntask: denoise\n"
    )
    (config,) = sdk.discover_models(tmp_path)
    sdk.run_validation(config)
    assert "Result: PASS" in capsys.readouterr().out


@pytest.mark.parametrize("model_id", ["", "..", "a/b", "-o", "Fotos schärfen"])
def test_a_name_that_darktable_rejects_is_an_error(model_id: str) -> None:
    with pytest.raises(UnblurError, match="darktable identifies a model by the name of its file"):
        build_darktable_archive(random_network(NAFNET), DESCRIPTION, model_id, "")


def test_an_unknown_operation_is_an_error() -> None:
    with pytest.raises(UnblurError, match="which cannot be exported yet"):
        build_onnx_model(random_network(RestormerConfig()), DESCRIPTION)


@pytest.mark.slow
def test_the_bundled_network_agrees_with_pytorch() -> None:
    network = load(shake="off", device="cpu", precision="float32", runtime="torch").network
    restore = run_by_onnxruntime(build_onnx_model(network, DESCRIPTION))
    # The last picture is larger than the window of local pooling.
    assert max(*errors(network, restore), error(network, restore, picture(410, 397))) < TOLERANCE


def restore_in_darktables_tiles(network: nn.Module, blurry: Tensor, tile_px: int = TILE_PX) -> tuple[Tensor, int]:
    """Restore in tiles and discard their margins; return the result and the distance between cuts.

    The picture is continued by its mirror image, as in darktable 5.6, src/common/ai/restore.c.
    """
    margin_px = DARKTABLE_CUT_PX
    step_px = tile_px - 2 * margin_px
    height, width = blurry.shape[2:]
    restored = torch.zeros_like(blurry)
    for top in range(0, height, step_px):
        for left in range(0, width, step_px):
            rows, columns = (
                mirror(torch.arange(start - margin_px, start - margin_px + tile_px), side)
                for start, side in ((top, height), (left, width))
            )
            tile = network(blurry[:, :, rows][..., columns])
            inside = tile[..., margin_px : tile_px - margin_px, margin_px : tile_px - margin_px]
            part = restored[..., top : top + step_px, left : left + step_px]
            part.copy_(inside[..., : part.shape[2], : part.shape[3]])
    return restored.clamp(0, 1), step_px


def mirror(places: Tensor, side: int) -> Tensor:
    places = places.abs()
    return torch.where(places >= side, 2 * side - 2 - places, places).clamp(0, side - 1)


def test_darktables_tiles_equal_the_whole_if_the_receptive_field_is_within_the_margin() -> None:
    network = random_network(PlainUNetConfig(channels=(8, 16), blocks=(1, 1)))
    blurry = picture(200, 300)
    with torch.inference_mode():
        tiled, cut = restore_in_darktables_tiles(network, blurry, 256)
        whole = network(blurry).clamp(0, 1)
    # At its borders the whole picture is padded with zeros, and a tile with the mirror image.
    around = (slice(None), slice(None), slice(72, 120), slice(cut - 8, cut + 8))
    assert torch.allclose(tiled[around], whole[around], atol=1e-3)


def measure_added_step(network: nn.Module, blurry: Tensor) -> float:
    """Return the step that a cut of darktable adds, in levels of 255.

    The step is averaged along stretches of 32 px, because a seam is visible where the step is the same along it; the
    result is the mean of the absolute values.
    """
    with torch.inference_mode():
        tiled, cut = restore_in_darktables_tiles(network, blurry)
        difference = 255 * (tiled - network(blurry).clamp(0, 1))
    steps = (difference[..., cut] - difference[..., cut - 1]).mean(dim=1).flatten()
    return float(steps.unflatten(0, (-1, 32)).mean(dim=1).abs().mean())


@pytest.mark.slow
def test_pooling_within_the_margin_makes_darktables_cut_less_than_a_level() -> None:
    with Image.open(Path(__file__).parents[2] / "examples" / "reds_blurry.png") as opened:
        levels = np.array(opened.convert("RGB"), np.float32)[:, :560]
    half = torch.from_numpy(levels).permute(2, 0, 1)[None] / 255
    blurry = torch.cat((half, half.flip(3)), dim=3)
    restorer = load(
        pooling_window_px=choose_darktable_window_px(256),
        shake="off",
        device="cpu",
        precision="float32",
        runtime="torch",
    )
    # 1.5 with the usual window.
    assert measure_added_step(restorer.network, blurry) < 1
