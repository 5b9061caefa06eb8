"""Graph models of TensorFlow.js (model.json and its .bin files), run by torch: no Node, no TensorFlow.

The format is that of TensorFlow's converter: `modelTopology` is a GraphDef as JSON, `weightsManifest` lists the shards
that hold the constants one after the other. Operations follow TensorFlow's reference; pictures are
(B, H, W, C) throughout. Only the operations of MAXIM are implemented. Integers are shapes, places and counts:
they stay on the processor, wherever the pictures are; numbers move when they are cast.
"""

import base64
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from unblur.errors import UnblurError

_DTYPES = {"float32": np.float32, "int32": np.int32, "bool": np.bool_}
_CASTS = {"DT_FLOAT": torch.float32, "DT_INT32": torch.int64, "DT_BOOL": torch.bool}

_UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "Abs": torch.abs,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "Identity": torch.clone,
    "Neg": torch.neg,
    "Reciprocal": torch.reciprocal,
    "Rsqrt": torch.rsqrt,
    "Sign": torch.sign,
    "Square": torch.square,
    "Tanh": torch.tanh,
}
_BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "AddV2": torch.add,
    "FloorDiv": torch.floor_divide,
    "FloorMod": torch.remainder,
    "Greater": torch.gt,
    "GreaterEqual": torch.ge,
    "Less": torch.lt,
    "LessEqual": torch.le,
    "LogicalAnd": torch.logical_and,
    "Maximum": torch.maximum,
    "Minimum": torch.minimum,
    "Mul": torch.mul,
    "NotEqual": torch.ne,
    "RealDiv": torch.true_divide,
    "Sub": torch.sub,
}
_OTHERS = (
    "BroadcastTo",
    "Cast",
    "ConcatV2",
    "Conv2D",
    "Conv2DBackpropInput",
    "Einsum",
    "ExpandDims",
    "GatherV2",
    "Pack",
    "Range",
    "Reshape",
    "SelectV2",
    "Shape",
    "Squeeze",
    "StridedSlice",
    "Sum",
    "Transpose",
)


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operation of the graph."""

    name: str
    operation: str
    inputs: tuple[str, ...]
    attributes: dict[str, Any]
    done_with: tuple[str, ...]
    """Results that no later node needs."""


class TensorFlowJsGraph:
    """A network from pictures to pictures, (B, H, W, 3) float32. Raises UnblurError for other files."""

    def __init__(self, model: Path, device: torch.device) -> None:
        """Load the model.json at `model` and the shards beside it."""
        try:
            content = json.loads(model.read_text(encoding="utf-8"))
            nodes = {node["name"]: node for node in content["modelTopology"]["node"]}
            weights = _read_weights(content["weightsManifest"], model.parent)
        except OSError as error:
            raise UnblurError(f"{error.filename or model} cannot be read: {error.strerror or error}.") from error
        except (KeyError, TypeError, ValueError) as error:
            raise UnblurError(
                f"{model} is not a graph model of TensorFlow.js, or is damaged ({error}); get it again."
            ) from error
        unknown = {node["op"] for node in nodes.values()} - {*_UNARY, *_BINARY, *_OTHERS, "Const", "Placeholder"}
        if unknown:
            raise UnblurError(
                f"{model} has operations that are not known here: {', '.join(sorted(unknown))}; export it as ONNX."
            )
        places = [name for name, node in nodes.items() if node["op"] == "Placeholder"]
        parents = {parent for node in nodes.values() for parent in _find_parents(node)}
        ends = [name for name, node in nodes.items() if name not in parents and node["op"] not in ("Const", "NoOp")]
        if len(places) != 1 or len(ends) != 1:
            raise UnblurError(f"{model} has {len(places)} inputs and {len(ends)} outputs; it must have one of each.")
        self._input, self._output = places[0], ends[0]
        self._constants: dict[str, Tensor] = {
            name: tensor.to(device) if tensor.is_floating_point() else tensor for name, tensor in weights.items()
        }
        self._nodes = _sort_nodes(nodes, self._output)

    @torch.inference_mode()
    def __call__(self, pictures: Tensor) -> Tensor:
        """Run the graph on (B, H, W, 3)."""
        values: dict[str, Tensor] = self._constants | {self._input: pictures}
        for node in self._nodes:
            values[node.name] = _compute(node, [values[name] for name in node.inputs], pictures.device)
            for name in node.done_with:
                del values[name]
        return values[self._output]


def _read_weights(manifest: list[dict[str, Any]], folder: Path) -> dict[str, Tensor]:
    """Return the constants by name; whole numbers as int64."""
    found = {}
    for group in manifest:
        data = b"".join((folder / path).read_bytes() for path in group["paths"])
        start = 0
        for entry in group["weights"]:
            if "quantization" in entry:
                raise ValueError("its weights are quantised")
            kind, count = np.dtype(_DTYPES[entry["dtype"]]), math.prod(entry["shape"])
            values = np.frombuffer(data, kind, count, start).reshape(entry["shape"])
            found[entry["name"]] = torch.from_numpy(values.astype(np.int64 if kind == np.int32 else kind))
            start += count * kind.itemsize
        if start != len(data):
            raise ValueError(f"its shards hold {len(data)} bytes instead of {start}")
    return found


def _sort_nodes(nodes: dict[str, dict[str, Any]], output: str) -> list[Node]:
    """Return the nodes that lead to `output`, each after all that it needs."""
    ordered: list[str] = []
    done: set[str] = set()
    waiting = [output]
    while waiting:
        name = waiting[-1]
        # Names that begin with ^ only order side effects, of which there are none.
        missing = [parent for parent in _find_parents(nodes[name]) if parent not in done]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        if name not in done and nodes[name]["op"] not in ("Const", "Placeholder"):
            ordered.append(name)
        done.add(name)
    last_use = {parent: name for name in ordered for parent in _find_parents(nodes[name])}
    made = set(ordered)
    freed: dict[str, list[str]] = {}
    for parent, name in last_use.items():
        if parent in made:
            freed.setdefault(name, []).append(parent)
    return [
        Node(
            name=name,
            operation=nodes[name]["op"],
            inputs=_find_parents(nodes[name]),
            attributes=nodes[name].get("attr", {}),
            done_with=tuple(freed.get(name, ())),
        )
        for name in ordered
    ]


def _find_parents(node: dict[str, Any]) -> tuple[str, ...]:
    return tuple(name.removesuffix(":0") for name in node.get("input", []) if not name.startswith("^"))


def _compute(node: Node, inputs: Sequence[Tensor], device: torch.device) -> Tensor:
    if node.operation in _UNARY:
        return _UNARY[node.operation](inputs[0])
    if node.operation in _BINARY:
        return _BINARY[node.operation](inputs[0], inputs[1])
    first = inputs[0]
    match node.operation:
        case "BroadcastTo":
            return first.expand(inputs[1].tolist())
        case "Cast":
            kind = _CASTS[node.attributes["DstT"]["type"]]
            return first.to(device if kind.is_floating_point else "cpu", kind)
        case "ConcatV2":
            return torch.cat([*inputs[:-1]], dim=int(inputs[-1]))
        case "Conv2D":
            return _convolve(node, first, inputs[1])
        case "Conv2DBackpropInput":
            return _convolve_transposed(node, inputs[0].tolist(), inputs[1], inputs[2])
        case "Einsum":
            product: Tensor = torch.einsum(_decode_text(node, "equation"), *inputs)
            return product
        case "ExpandDims":
            return first.unsqueeze(int(inputs[1]))
        case "GatherV2":
            return first.index_select(int(inputs[2]), inputs[1].to(first.device))
        case "Pack":
            return torch.stack([*inputs], dim=_read_number(node, "axis"))
        case "Range":
            return torch.arange(*(int(bound) for bound in inputs))
        case "Reshape":
            return first.reshape(inputs[1].tolist())
        case "SelectV2":
            return torch.where(first, inputs[1], inputs[2])
        case "Shape":
            return torch.tensor(first.shape)
        case "Squeeze":
            return first.squeeze([int(axis) for axis in node.attributes["squeeze_dims"]["list"]["i"]])
        case "StridedSlice":
            return _slice(node, first, *(bounds.tolist() for bounds in inputs[1:]))
        case "Sum":
            return first.sum(inputs[1].reshape(-1).tolist()) if inputs[1].numel() else first
        case _:  # "Transpose"; all others were refused.
            return first.permute(inputs[1].tolist())


def _convolve(node: Node, pictures: Tensor, weights: Tensor) -> Tensor:
    """Convolve (B, H, W, C) with (height, width, C, D) -> (B, H', W', D)."""
    strides = _read_strides(node)
    planes = pictures.permute(0, 3, 1, 2)
    if _decode_text(node, "padding") == "SAME":
        # As many pixels as the output needs, the odd one behind.
        missing = [
            max((math.ceil(size / stride) - 1) * stride + reach - size, 0)
            for size, stride, reach in zip(pictures.shape[1:3], strides, weights.shape[:2], strict=True)
        ]
        (down, right) = missing
        planes = F.pad(planes, (right // 2, right - right // 2, down // 2, down - down // 2))
    return F.conv2d(planes, weights.permute(3, 2, 0, 1), stride=strides).permute(0, 2, 3, 1)


def _convolve_transposed(node: Node, shape: list[int], weights: Tensor, pictures: Tensor) -> Tensor:
    """Convolve (B, H, W, C), transposed, with (height, width, D, C) -> `shape`, (B, H', W', D)."""
    planes = F.conv_transpose2d(pictures.permute(0, 3, 1, 2), weights.permute(3, 2, 0, 1), stride=_read_strides(node))
    result = planes.permute(0, 2, 3, 1)
    if _decode_text(node, "padding") != "VALID" or list(result.shape) != shape:
        raise UnblurError(f"The transposed convolution {node.name} is of a kind that is not known here.")
    return result


def _read_strides(node: Node) -> tuple[int, int]:
    """Return the strides down and right."""
    _, down, right, _ = (int(stride) for stride in node.attributes["strides"]["list"]["i"])
    return down, right


def _slice(node: Node, values: Tensor, starts: list[int], stops: list[int], steps: list[int]) -> Tensor:
    begin, end, single = (_read_number(node, f"{which}_mask") for which in ("begin", "end", "shrink_axis"))
    if _read_number(node, "ellipsis_mask") or _read_number(node, "new_axis_mask") or min(steps) < 1:
        raise UnblurError(f"The slice {node.name} is of a kind that is not known here.")
    places: list[int | slice] = []
    for axis, (start, stop, step) in enumerate(zip(starts, stops, steps, strict=True)):
        bit = 1 << axis
        window = slice(None if begin & bit else start, None if end & bit else stop, step)
        places.append(start if single & bit else window)
    return values[tuple(places)]


def _read_number(node: Node, name: str) -> int:
    return int(node.attributes.get(name, {}).get("i", 0))


def _decode_text(node: Node, name: str) -> str:
    return base64.b64decode(node.attributes[name]["s"]).decode()
