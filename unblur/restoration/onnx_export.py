"""A restoring network as an ONNX model that other programs run: RGB in [0, 1] in and out, any height and width.

The graph holds the whole network, with the reach of its averages and the padding of sizes. What the package does
around the network is not in it: solved camera shake, tiles, and the guard that keeps the photograph where an answer is
garbage.
"""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from torch import nn

from unblur.errors import UnblurError
from unblur.restoration.onnx_graph import IR_VERSION, OPSET, OnnxGraph
from unblur.restoration.onnx_recording import record

INPUT, OUTPUT = "input", "output"
"""Names of the picture before and after."""

SIZES = ("height", "width")
"""Names of its sides."""

TILE_PX = 768
"""Side of the tiles that other programs are told to cut."""


@dataclass(frozen=True, kw_only=True)
class NetworkFacts:
    """What an exported file says about its network."""

    name: str
    description: str
    licence: str
    """As the checkpoint's card has it, an identifier of the Hugging Face hub."""
    checkpoint_sha256: str

    def metadata(self) -> dict[str, str]:
        """Keys and values, all text, as ONNX and OpenVINO store them."""
        return {
            "name": self.name,
            "description": self.description,
            "version": version("unblur"),
            "licence": self.licence,
            "checkpoint_sha256": self.checkpoint_sha256,
            "colour_space": "sRGB, RGB channels first, values from 0 to 1",
            "multiple_of_px": "1",
            "tile_px": str(TILE_PX),
        }


def onnx_model(network: nn.Module, facts: NetworkFacts, *, tile_px: int | None = None) -> bytes:
    """`network`, (1, 3, H, W) in [0, 1] -> same, as a checked ONNX model.

    It takes pictures of any height and width, or with `tile_px` only squares of that side. Raises UnblurError without
    the package onnx, and where the network does what the graph cannot say.
    """
    try:
        import onnx
        from onnx import helper, numpy_helper
    except ImportError:
        raise UnblurError("Exporting needs onnx, which is missing; run: pip install 'unblur[export]'") from None

    graph, restored = record(network)
    # What is exported promises [0, 1]; the package limits its answers where it rounds them.
    limits = (graph.scalar(0.0), graph.scalar(1.0))
    graph.nodes.append(helper.make_node("Clip", [restored, *limits], [OUTPUT], name="Limit"))
    nodes = _needed(graph)
    used = {name for node in nodes for name in node.input}
    shape = [1, 3, *(SIZES if tile_px is None else (tile_px, tile_px))]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            facts.name,
            [helper.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, shape)],
            [numpy_helper.from_array(values, name) for name, values in graph.constants.items() if name in used],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="unblur",
        producer_version=version("unblur"),
        doc_string=facts.description,
    )
    helper.set_model_props(model, facts.metadata())
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _needed(graph: OnnxGraph) -> list[Any]:
    """The nodes that the output depends on, in their order."""
    wanted, kept = {OUTPUT}, []
    for node in reversed(graph.nodes):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]
