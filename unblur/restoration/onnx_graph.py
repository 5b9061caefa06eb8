"""The nodes and constants of an ONNX graph that is being written."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET = 17
"""The operator set: the first with layer normalisation."""

IR_VERSION = 8
"""Of the file format; the one that came with the operator set."""


@dataclass(frozen=True)
class Side:
    """A height or width that only the graph knows: the name of its value, int64 of shape (1,)."""

    name: str


@dataclass
class OnnxGraph:
    """Nodes and constants, as they are added."""

    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> list[str]:
        """The names of the values that a new node gives."""
        from onnx import helper

        index = len(self.nodes)
        names = [f"{kind.lower()}_{index}" + (f"_{place}" if outputs > 1 else "") for place in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=f"{kind}_{index}", **attributes))
        return names

    def one(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """The name of the value that a new node gives."""
        return self.add(kind, *inputs, **attributes)[0]

    def constant(self, values: NDArray[Any]) -> str:
        """The name of these values; equal ones, as a network at several sizes has them, are stored once."""
        told = hashlib.sha256(f"{values.dtype} {values.shape}".encode() + values.tobytes()).hexdigest()
        name = f"constant_{told[:16]}"
        self.constants[name] = values
        return name

    def scalar(self, value: float) -> str:
        """The name of one number."""
        return self.constant(np.array(value, np.float32))

    def integers(self, *values: int | Side) -> str:
        """The name of int64 values of shape (n,)."""
        if all(isinstance(value, int) for value in values):
            return self.constant(np.array(values, np.int64))
        names = [value.name if isinstance(value, Side) else self.integers(value) for value in values]
        return names[0] if len(names) == 1 else self.one("Concat", *names, axis=0)
