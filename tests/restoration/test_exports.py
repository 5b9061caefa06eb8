"""Exported networks give what PyTorch gives, whatever runs them and however large the picture is."""

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
from unblur.models.pooling import use_local_pooling, usual_window_px
from unblur.restoration.exported_files import (
    DARKTABLE_CUT_PX,
    darktable_archive,
    darktable_window_px,
    openvino_files,
)
from unblur.restoration.onnx_export import OUTPUT, TILE_PX, NetworkFacts, onnx_model
from unblur.restoration.restorer import load

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

SIZES = ((37, 53), (64, 64), (130, 97))

TOLERANCE = 2e-5
"""A two-hundredth of a level of 8 bits; what is promised is a whole one."""

FACTS = NetworkFacts(name="tiny", description="A network.", licence="apache-2.0", checkpoint_sha256="0" * 64)

HOURGLASS = NAFNetConfig(width=8, encoder_blocks=(1, 1), middle_blocks=1, decoder_blocks=(1, 1), stem_stride=2)
THREE_SIZES = MultiScaleConfig(nafnet=HOURGLASS, channels=8, blocks=1, condition_on_coarser=True)

NETWORKS: dict[str, RestorerConfig] = {
    "nafnet": HOURGLASS,
    "nafnet without a stem": NAFNetConfig(width=4, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,)),
    "three sizes": THREE_SIZES,
    "plain": PlainUNetConfig(channels=(8, 16), blocks=(1, 1)),
    "unet": UNetConfig(channels=(4, 8), blocks=1, stem_stride=2, expanded=6),
    "mimo-unet": MIMOUNetConfig(width=4, blocks=1),
}


def random_network(config: RestorerConfig, window_px: int | None = 48) -> nn.Module:
    """With weights that change pictures: networks begin as the identity."""
    generator = torch.Generator().manual_seed(0)
    network = build(config).eval().requires_grad_(False)
    for weights in network.parameters():
        weights.add_(0.1 * torch.randn(weights.shape, generator=generator))
    use_local_pooling(network, window_px)
    return network


def picture(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height + width))


def by_onnxruntime(model: bytes) -> Callable[[Tensor], Tensor]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return lambda blurry: torch.from_numpy(session.run([OUTPUT], {"input": blurry.numpy()})[0])


def error(network: nn.Module, restore: Callable[[Tensor], Tensor], blurry: Tensor) -> float:
    """The largest, as a share of the largest value that the network gives: random ones give some in the hundreds."""
    with torch.inference_mode():
        expected = network(blurry)
    assert (expected - blurry).abs().max() > 0.02
    return float((restore(blurry) - expected.clamp(0, 1)).abs().max() / expected.abs().max().clamp(min=1))


def errors(network: nn.Module, restore: Callable[[Tensor], Tensor]) -> list[float]:
    return [error(network, restore, picture(*size)) for size in SIZES]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("window_px", [48, None])
def test_onnx_runtime_gives_what_pytorch_gives_at_any_size(name: str, window_px: int | None) -> None:
    network = random_network(NETWORKS[name], window_px)
    restore = by_onnxruntime(onnx_model(network, FACTS))
    assert max(*errors(network, restore), error(network, restore, picture(5, 90))) < TOLERANCE


def test_the_fast_mode_is_exported() -> None:
    network = HalfResolution(random_network(HOURGLASS))
    assert max(errors(network, by_onnxruntime(onnx_model(network, FACTS)))) < TOLERANCE


def test_the_model_says_what_it_is() -> None:
    model = onnx.load_from_string(onnx_model(random_network(HOURGLASS), FACTS))
    onnx.checker.check_model(model, full_check=True)
    assert [opset.version for opset in model.opset_import] == [17]
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert told == FACTS.metadata()
    assert (told["licence"], told["multiple_of_px"], told["tile_px"]) == ("apache-2.0", "1", "768")
    for value, name in ((model.graph.input, "input"), (model.graph.output, "output")):
        assert [one.name for one in value] == [name]
        sides = value[0].type.tensor_type.shape.dim
        assert [side.dim_value for side in sides[:2]] == [1, 3]
        assert [side.dim_param for side in sides[2:]] == ["height", "width"]


def test_weights_are_stored_once_for_all_sizes() -> None:
    network = random_network(THREE_SIZES)
    held = sum(weights.numel() for weights in network.parameters()) * 4
    weights = onnx.load_from_string(onnx_model(network, FACTS)).graph.initializer
    stored = sum(onnx.numpy_helper.to_array(each).nbytes for each in weights)
    assert 0.9 * held < stored < 1.5 * held


def test_values_are_limited_to_the_range() -> None:
    network = random_network(HOURGLASS)
    with torch.inference_mode():
        assert network(picture(64, 64)).max() > 1
    restored = by_onnxruntime(onnx_model(network, FACTS))(picture(64, 64))
    assert 0 <= restored.min() <= restored.max() <= 1


def test_opencv_gives_what_pytorch_gives() -> None:
    cv2 = pytest.importorskip("cv2")
    if int(cv2.__version__.split(".")[0]) < 5:
        pytest.skip("what is known of OpenCV is known of 5.0")
    network = random_network(THREE_SIZES)
    net = cv2.dnn.readNetFromONNX(np.frombuffer(onnx_model(network, FACTS), np.uint8))

    def restore(blurry: Tensor) -> Tensor:
        net.setInput(blurry.numpy(), "input")
        return torch.from_numpy(net.forward(OUTPUT))

    assert max(errors(network, restore)) < TOLERANCE


def test_openvino_gives_what_pytorch_gives(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    network = random_network(THREE_SIZES)
    xml, weights = openvino_files(onnx_model(network, FACTS), FACTS)
    (tmp_path / "tiny.xml").write_bytes(xml)
    (tmp_path / "tiny.bin").write_bytes(weights)
    core = openvino.Core()
    read = core.read_model(tmp_path / "tiny.xml")
    assert read.get_rt_info(["unblur", "licence"]).value == "apache-2.0"
    compiled = core.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def restore(blurry: Tensor) -> Tensor:
        return torch.from_numpy(compiled([blurry.numpy()])[0])

    assert max(errors(network, restore)) < 10 * TOLERANCE


def unpacked(archive: bytes, folder: Path) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        packed.extractall(folder)
        return packed.namelist()


def test_darktables_archive_has_the_layout_that_it_reads(tmp_path: Path) -> None:
    """The rules of docs/dtmodel-format.md in darktable-ai-sdk."""
    archive = darktable_archive(random_network(HOURGLASS), FACTS, "denoise-tiny", "# Card\n")
    names = unpacked(archive, tmp_path)
    assert sorted(names) == ["denoise-tiny/README.md", "denoise-tiny/config.json", "denoise-tiny/model.onnx"]
    config = json.loads((tmp_path / "denoise-tiny" / "config.json").read_text())
    told = [config[key] for key in ("id", "task", "backend", "spatial_dims")]
    assert told == ["denoise-tiny", "denoise", "onnx", ["height", "width"]]
    assert all(isinstance(config[key], str) for key in ("name", "description", "version"))
    assert config["attributes"] == {"input_sizes": [768]}
    session = onnxruntime.InferenceSession(tmp_path / "denoise-tiny" / "model.onnx", providers=["CPUExecutionProvider"])
    assert [session.get_inputs()[0].shape, session.get_outputs()[0].shape] == [[1, 3, 768, 768]] * 2


def test_darktables_own_tool_finds_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sdk = pytest.importorskip("dt_ai_sdk")
    unpacked(darktable_archive(random_network(HOURGLASS), FACTS, "denoise-tiny", "# Card\n"), tmp_path / "output")
    (tmp_path / "models" / "denoise-tiny").mkdir(parents=True)
    (tmp_path / "models" / "denoise-tiny" / "model.yaml").write_text(
        "id: denoise-tiny\nname: tiny\ndescription: A network.\ntask: denoise\n"
    )
    (config,) = sdk.discover_models(tmp_path)
    sdk.run_validation(config)
    assert "Result: PASS" in capsys.readouterr().out


@pytest.mark.parametrize("model_id", ["", "..", "a/b", "-o", "Fotos schärfen"])
def test_a_name_that_darktable_refuses_is_told(model_id: str) -> None:
    with pytest.raises(UnblurError, match="darktable takes the name of the file for the model's"):
        darktable_archive(random_network(HOURGLASS), FACTS, model_id, "")


def test_what_cannot_be_written_is_told() -> None:
    with pytest.raises(UnblurError, match="which the export cannot write yet"):
        onnx_model(random_network(RestormerConfig()), FACTS)


@pytest.mark.slow
def test_the_bundled_network_gives_what_pytorch_gives() -> None:
    network = load(shake="off", device="cpu", precision="float32").network
    restore = by_onnxruntime(onnx_model(network, FACTS))
    # The last is larger than the reach of the network's averages.
    assert max(*errors(network, restore), error(network, restore, picture(410, 397))) < TOLERANCE


def cut_as_darktable_does(network: nn.Module, blurry: Tensor, tile_px: int = TILE_PX) -> tuple[Tensor, int]:
    """Restored in tiles whose margins are thrown away, and the distance of cuts.

    Beyond the picture is its mirror image; so it is in darktable 5.6, src/common/ai/restore.c.
    """
    margin_px = DARKTABLE_CUT_PX
    step_px = tile_px - 2 * margin_px
    height, width = blurry.shape[2:]
    restored = torch.zeros_like(blurry)
    for top in range(0, height, step_px):
        for left in range(0, width, step_px):
            rows, columns = (
                mirrored(torch.arange(start - margin_px, start - margin_px + tile_px), side)
                for start, side in ((top, height), (left, width))
            )
            tile = network(blurry[:, :, rows][..., columns])
            inside = tile[..., margin_px : tile_px - margin_px, margin_px : tile_px - margin_px]
            part = restored[..., top : top + step_px, left : left + step_px]
            part.copy_(inside[..., : part.shape[2], : part.shape[3]])
    return restored.clamp(0, 1), step_px


def mirrored(places: Tensor, side: int) -> Tensor:
    places = places.abs()
    return torch.where(places >= side, 2 * side - 2 - places, places).clamp(0, side - 1)


def test_darktables_tiles_are_the_whole_where_nothing_reaches_beyond_the_margin() -> None:
    network = random_network(PlainUNetConfig(channels=(8, 16), blocks=(1, 1)))
    blurry = picture(200, 300)
    with torch.inference_mode():
        tiled, cut = cut_as_darktable_does(network, blurry, 256)
        whole = network(blurry).clamp(0, 1)
    # At the picture's own borders the network sees zeros, and in a tile the mirror image.
    around = (slice(None), slice(None), slice(72, 120), slice(cut - 8, cut + 8))
    assert torch.allclose(tiled[around], whole[around], atol=1e-3)


def added_step(network: nn.Module, blurry: Tensor) -> float:
    """How much darktable's cut adds to the step across it: the mean over stretches of 32 px, in levels of 255.

    Within a stretch the step is averaged: what is the same along it makes a seam visible.
    """
    with torch.inference_mode():
        tiled, cut = cut_as_darktable_does(network, blurry)
        difference = 255 * (tiled - network(blurry).clamp(0, 1))
    steps = (difference[..., cut] - difference[..., cut - 1]).mean(dim=1).flatten()
    return float(steps.unflatten(0, (-1, 32)).mean(dim=1).abs().mean())


@pytest.mark.slow
def test_averages_within_the_margin_make_darktables_cut_less_than_a_level() -> None:
    with Image.open(Path(__file__).parents[2] / "examples" / "reds_blurry.png") as opened:
        levels = np.array(opened.convert("RGB"), np.float32)[:, :560]
    half = torch.from_numpy(levels).permute(2, 0, 1)[None] / 255
    blurry = torch.cat((half, half.flip(3)), dim=3)
    added = [
        added_step(load(pooling_window_px=px, shake="off", device="cpu", precision="float32").network, blurry)
        for px in (darktable_window_px(256), usual_window_px(256))
    ]
    assert added[0] < 1
    assert added[0] < added[1] / 1.5, added
