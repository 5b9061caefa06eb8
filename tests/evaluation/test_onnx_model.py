"""ONNX models made here: the same numbers as torch, in one piece and in tiles, and a sentence for what does not fit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from unblur.errors import UnblurError
from unblur.evaluation.method import MethodSpec, open_method
from unblur.evaluation.peers.onnx_model import OnnxModel

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

WEIGHTS = np.random.default_rng(0).normal(0.0, 0.1, (3, 3, 3, 3)).astype(np.float32)


def save(
    path: Path,
    nodes: list[object],
    takes: list[object] | None = None,
    *,
    kind: int = onnx.TensorProto.FLOAT,
    inputs: tuple[str, ...] = ("blurry",),
    gives: list[object] | None = None,
) -> Path:
    """A model of these nodes, from `inputs` to `restored`."""
    shape = takes or [1, 3, "height", "width"]
    graph = onnx.helper.make_graph(
        nodes,
        "test",
        [onnx.helper.make_tensor_value_info(name, kind, shape) for name in inputs],
        [onnx.helper.make_tensor_value_info("restored", kind, gives or [None] * len(shape))],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def constant(name: str, values: np.ndarray) -> object:
    return onnx.helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(values))


def convolution(dtype: type = np.float32) -> list[object]:
    """3 x 3 with zeros beyond the borders, and half a level of grey."""
    return [
        constant("weights", WEIGHTS.astype(dtype)),
        constant("grey", np.full(3, 0.5, dtype)),
        onnx.helper.make_node("Conv", ["blurry", "weights", "grey"], ["restored"], pads=[1, 1, 1, 1]),
    ]


def halved_and_doubled() -> list[object]:
    """Means of 2 x 2 pixels, each shown four times: of odd sides the last line is lost."""
    return [
        onnx.helper.make_node("AveragePool", ["blurry"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
        constant("scales", np.array([1, 1, 2, 2], np.float32)),
        onnx.helper.make_node("Resize", ["small", "", "scales"], ["restored"], mode="nearest"),
    ]


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


def by_torch(blurry: np.ndarray) -> np.ndarray:
    planes = torch.from_numpy(blurry).permute(2, 0, 1)[None].float() / 255
    restored = F.conv2d(planes, torch.from_numpy(WEIGHTS), torch.full((3,), 0.5), padding=1)
    return (restored.clamp(0, 1) * 255)[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("size", [(40, 60), (41, 33), (1, 7)])
def test_outputs_equal_those_of_torch(tmp_path: Path, size: tuple[int, int]) -> None:
    method = open_method(MethodSpec(method=str(save(tmp_path / "conv.onnx", convolution())), device="cpu"))
    blurry = picture(*size)
    done = method.apply(blurry, "a.png")
    # Nothing but the rounding to eight bits.
    assert np.abs(done.pixels - by_torch(blurry)).max() < 0.5 + 1e-3
    assert done.tile_px == 0
    assert (method.name, method.device, len(method.checkpoint)) == ("conv.onnx", "cpu", 64)
    assert method.runtime.startswith("onnxruntime ")


def test_half_precision_is_close(tmp_path: Path) -> None:
    model = OnnxModel(save(tmp_path / "half.onnx", convolution(np.float16), kind=onnx.TensorProto.FLOAT16))
    blurry = picture(20, 24)
    assert np.abs(model.restore(blurry) - by_torch(blurry)).max() < 1.5


def test_a_fixed_size_is_padded_or_tiled(tmp_path: Path) -> None:
    model = OnnxModel(save(tmp_path / "fixed.onnx", convolution(), [1, 3, 96, 128]))
    assert [model.tile_px(picture(*size)) for size in ((96, 128), (50, 60), (96, 129), (200, 300))] == [0, 0, 128, 128]
    for size in ((96, 128), (200, 300), (50, 200), (97, 40)):
        blurry = picture(*size)
        error = np.abs(model.restore(blurry) - by_torch(blurry))
        # Where tiles meet, each has a little of the other's border; smaller pictures end in repeated pixels, not zeros.
        assert error[1:-1, 1:-1].max() <= 1.0
    whole = picture(96, 128)
    assert np.abs(model.restore(whole) - by_torch(whole)).max() < 0.5 + 1e-3


def test_sides_are_padded_to_a_multiple(tmp_path: Path) -> None:
    path = save(tmp_path / "even.onnx", halved_and_doubled())
    blurry = picture(21, 31)
    with pytest.raises(UnblurError, match=r"makes \(1, 3, 20, 30\) of a picture \(1, 3, 21, 31\)"):
        OnnxModel(path).restore(blurry)
    padded = OnnxModel(path, multiple_px=2)
    assert padded.runtime.endswith(", multiples of 2")
    restored = padded.restore(blurry)
    assert restored.shape == blurry.shape
    corners = np.pad(blurry.astype(float), ((0, 1), (0, 1), (0, 0)), mode="edge")[20:22, 30:32].mean((0, 1))
    assert np.abs(restored[20, 30] - corners).max() < 0.51


def test_another_file_is_another_checkpoint(tmp_path: Path) -> None:
    path = save(tmp_path / "a.onnx", convolution())
    first = OnnxModel(path).sha256
    path.with_name("a.onnx.data").write_bytes(b"weights outside")
    assert OnnxModel(path).sha256 != first


@pytest.mark.parametrize(
    ("takes", "options", "said"),
    [
        (
            [1, "height", "width", 3],
            {},
            r"takes blurry tensor\(float\) \[1, 'height', 'width', 3\]; a method must take",
        ),
        ([1, 1, "height", "width"], {}, "one RGB picture"),
        ([8, 3, "height", "width"], {}, "one RGB picture"),
        ([1, 3, 64, "width"], {}, "one RGB picture"),
        ([3, "height", "width"], {}, "one RGB picture"),
        (None, {"kind": onnx.TensorProto.UINT8}, "one RGB picture"),
        (None, {"inputs": ("blurry", "sigma")}, "sigma"),
    ],
)
def test_unsuitable_inputs_are_reported(
    tmp_path: Path, takes: list[object] | None, options: dict[str, object], said: str
) -> None:
    nodes = [onnx.helper.make_node("Identity", ["blurry"], ["restored"])]
    with pytest.raises(UnblurError, match=said):
        OnnxModel(save(tmp_path / "wrong.onnx", nodes, takes, **options))  # type: ignore[arg-type]


def test_values_out_of_range_are_reported(tmp_path: Path) -> None:
    nodes = [constant("white", np.float32([255])), onnx.helper.make_node("Mul", ["blurry", "white"], ["restored"])]
    with pytest.raises(UnblurError, match="gives values from 0 to 255, where RGB in \\[0, 1\\] is expected"):
        OnnxModel(save(tmp_path / "levels.onnx", nodes)).restore(np.repeat(picture(8, 8) // 128 * 255, 2, 1))
    nodes = [onnx.helper.make_node("Log", ["blurry"], ["restored"])]
    with pytest.raises(UnblurError, match="gives values from"):
        OnnxModel(save(tmp_path / "nan.onnx", nodes)).restore(np.zeros((8, 8, 3), np.uint8))


def test_files_that_are_no_model_are_reported(tmp_path: Path) -> None:
    (tmp_path / "rubbish.onnx").write_bytes(b"rubbish")
    with pytest.raises(UnblurError, match=r"rubbish\.onnx is not an ONNX model that runs"):
        OnnxModel(tmp_path / "rubbish.onnx")
    with pytest.raises(UnblurError, match="There is no ONNX model at"):
        open_method(MethodSpec(method=str(tmp_path / "none.onnx")))
    path = save(tmp_path / "conv.onnx", convolution())
    with pytest.raises(UnblurError, match="multiples of 0"):
        OnnxModel(path, multiple_px=0)
    small = OnnxModel(save(tmp_path / "small.onnx", convolution(), [1, 3, 32, 32]))
    with pytest.raises(UnblurError, match="cannot be laid over 40 px"):
        small.restore(picture(32, 40))


def test_a_model_that_fails_on_a_size_asks_for_a_multiple(tmp_path: Path) -> None:
    nodes = [
        constant("shape", np.array([1, 3, -1, 4], np.int64)),
        onnx.helper.make_node("Reshape", ["blurry", "shape"], ["fours"]),
        onnx.helper.make_node("Shape", ["blurry"], ["own"]),
        onnx.helper.make_node("Reshape", ["fours", "own"], ["restored"]),
    ]
    path = save(tmp_path / "fours.onnx", nodes)
    with pytest.raises(UnblurError, match=r"fails on 7 x 5 pixels .* give that with --multiple"):
        OnnxModel(path).restore(picture(5, 7))
    assert np.array_equal(OnnxModel(path, multiple_px=4).restore(picture(5, 7)), picture(5, 7))
