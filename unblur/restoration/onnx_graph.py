"""Collects the nodes and constants of an ONNX graph."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET = 17
"""Version of the operator set: the first with layer normalisation."""

IR_VERSION = 8
"""Version of the file format that was released with the operator set."""


@dataclass(frozen=True)
class Side:
    """A height or width that is computed by the graph, as int64 of shape (1,); `name` is its value there."""

    name: str


@dataclass
class OnnxGraph:
    """Nodes and constants of a graph, in the order in which they are added."""

    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)

    def add_with_outputs(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Add a node of operator `kind` and return the names of its outputs."""
        from onnx import helper

        index = len(self.nodes)
        names = [f"{kind.lower()}_{index}" + (f"_{place}" if outputs > 1 else "") for place in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=f"{kind}_{index}", **attributes))
        return names

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of operator `kind` with one output and return its name."""
        return self.add_with_outputs(kind, *inputs, outputs=1, **attributes)[0]

    def add_constant(self, values: NDArray[Any]) -> str:
        """Return the name of a constant. Equal values, such as weights that several scales share, are stored once."""
        digest = hashlib.sha256(f"{values.dtype} {values.shape}".encode() + values.tobytes()).hexdigest()
        name = f"constant_{digest[:16]}"
        self.constants[name] = values
        return name

    def add_scalar(self, value: float) -> str:
        """Return the name of a float32 constant without dimensions."""
        return self.add_constant(np.array(value, np.float32))

    def add_integers(self, *values: int | Side) -> str:
        """Return the name of int64 values of shape (n,)."""
        if all(isinstance(value, int) for value in values):
            return self.add_constant(np.array(values, np.int64))
        names = [value.name if isinstance(value, Side) else self.add_integers(value) for value in values]
        return names[0] if len(names) == 1 else self.add("Concat", *names, axis=0)
