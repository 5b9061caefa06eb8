"""Exports a restoring network as an ONNX model: RGB in [0, 1] in and out, any height and width.

The graph contains the whole network, with its local pooling and its padding. It has no deconvolution of camera shake,
no tiles, and no check for implausible results.
"""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from torch import nn

from unblur.errors import UnblurError
from unblur.restoration.onnx_graph import IR_VERSION, OPSET, OnnxGraph
from unblur.restoration.onnx_recording import record

INPUT, OUTPUT = "input", "output"
"""Names of the blurry and of the restored picture in the graph."""

SIDES = ("height", "width")
"""Names of the dimensions of both pictures."""

TILE_PX = 768
"""Side of the tiles that the metadata recommends to other programs."""


@dataclass(frozen=True, kw_only=True)
class NetworkDescription:
    """Description of a network in the metadata of an exported file."""

    name: str
    summary: str
    licence: str
    """An identifier of the Hugging Face hub, such as "apache-2.0", or "unknown"."""
    checkpoint_sha256: str

    def metadata(self) -> dict[str, str]:
        """Return the keys and values that ONNX and OpenVINO store, all of them text."""
        return {
            "name": self.name,
            "description": self.summary,
            "version": version("unblur"),
            "licence": self.licence,
            "checkpoint_sha256": self.checkpoint_sha256,
            "colour_space": "sRGB, RGB channels first, values from 0 to 1",
            "multiple_of_px": "1",
            "tile_px": str(TILE_PX),
        }


def build_onnx_model(
    network: nn.Module, description: NetworkDescription, *, tile_px: int | None = None, limit: bool = True
) -> bytes:
    """Export `network`, (1, 3, H, W) in [0, 1] -> same, as an ONNX model that its checker accepts.

    The model accepts pictures of any height and width, or with `tile_px` only squares of that side. With `limit`, its
    output is limited to [0, 1]. Raises UnblurError if onnx is not installed, and for an operation that cannot be
    exported.
    """
    try:
        import onnx
        from onnx import helper, numpy_helper
    except ImportError:
        raise UnblurError("Exporting needs onnx, which is not installed; run: pip install 'unblur[export]'") from None

    graph, restored = record(network)
    # Other programs expect values in [0, 1]; this package limits them when it rounds to integers.
    limits = [graph.add_scalar(0.0), graph.add_scalar(1.0)] if limit else []
    kind = "Clip" if limit else "Identity"
    graph.nodes.append(helper.make_node(kind, [restored, *limits], [OUTPUT], name="Output"))
    nodes = _select_needed(graph)
    used = {name for node in nodes for name in node.input}
    shape = [1, 3, *(SIDES if tile_px is None else (tile_px, tile_px))]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            description.name,
            [helper.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, shape)],
            [numpy_helper.from_array(values, name) for name, values in graph.constants.items() if name in used],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="unblur",
        producer_version=version("unblur"),
        doc_string=description.summary,
    )
    helper.set_model_props(model, description.metadata())
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _select_needed(graph: OnnxGraph) -> list[Any]:
    """Return the nodes that the output depends on, in their order."""
    values, needed = {OUTPUT}, []
    for node in reversed(graph.nodes):
        if values.intersection(node.output):
            values.update(node.input)
            needed.append(node)
    return needed[::-1]
