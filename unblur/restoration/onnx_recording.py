"""Records the operations of a network as an ONNX graph.

PyTorch accepts any object with `__torch_function__` in place of a tensor. A `RecordedTensor` represents a picture of
any height and width. Each operation on it adds nodes to the graph, which computes the sizes itself. Therefore calling
a network exports it, if it consists of the operations in `_WRITERS`.

torch.onnx was not used: its exporter on top of torch.export took minutes for the network with three scales, because it
solves symbolic equations for each size, and it needs onnxscript; its older exporter is deprecated. This module takes a
second or two and writes operator set 17.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.models.padding import pad_to_multiple
from unblur.models.pooling import average_over_windows
from unblur.restoration.onnx_graph import OnnxGraph, Side

_SAMPLE_PX = 256
"""Side of the picture whose shapes are computed during the recording; the graph does not depend on it."""

_END = 2**31 - 1
"""A position beyond the end of every side."""


class RecordedTensor:
    """A tensor with data of a graph; its height and width are known only when the graph is run."""

    def __init__(self, graph: OnnxGraph, name: str, like: Tensor, sides: tuple[int, int] = (2, 3)) -> None:
        """Name a tensor of the shape of `like`, on device "meta"; `sides` are the dimensions of height and width."""
        self.graph, self.name, self.like, self.sides = graph, name, like, sides
        self.dtype, self.device = torch.float32, torch.device("cpu")

    @property
    def shape(self) -> tuple[int | Side, ...]:
        """Sizes of all dimensions; height and width are values of the graph."""
        known: list[int | Side] = list(self.like.shape)
        for side in self.sides:
            known[side] = Side(self.graph.add("Shape", self.name, start=side, end=side + 1))
        return tuple(known)

    def height_and_width(self) -> str:
        """Return the name of height and width, int64 of shape (2,)."""
        return self.graph.add("Shape", self.name, start=2, end=4)

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Record `function`; PyTorch calls this method in its place."""
        del types
        return _record(function, tuple(args), kwargs or {})

    def __add__(self, other: Any) -> Any:
        return _record(torch.add, (self, other), {})

    def __sub__(self, other: Any) -> Any:
        return _record(torch.sub, (self, other), {})

    def __mul__(self, other: Any) -> Any:
        return _record(torch.mul, (self, other), {})

    def __truediv__(self, other: Any) -> Any:
        return _record(torch.div, (self, other), {})

    def __radd__(self, other: Any) -> Any:
        return _record(torch.add, (other, self), {})

    def __rsub__(self, other: Any) -> Any:
        return _record(torch.sub, (other, self), {})

    def __rmul__(self, other: Any) -> Any:
        return _record(torch.mul, (other, self), {})

    def __getitem__(self, which: Any) -> Any:
        return _slice(self, which)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(Tensor, name):
            raise AttributeError(name)
        return lambda *args, **kwargs: _record(getattr(Tensor, name), (self, *args), kwargs)


Value = RecordedTensor | Tensor | float


def record(network: nn.Module) -> tuple[OnnxGraph, str]:
    """Record `network`, applied to the value "input", (1, 3, height, width). Return the graph and its output's name.

    Raises UnblurError for an operation that cannot be exported.
    """
    graph = OnnxGraph()
    like = torch.empty(1, 3, _SAMPLE_PX, _SAMPLE_PX, device="meta")
    with torch.no_grad():
        restored = network(RecordedTensor(graph, "input", like))
    if not isinstance(restored, RecordedTensor):
        raise UnblurError(f"{type(network).__name__} returns more than one picture; export another checkpoint.")
    return graph, restored.name


def _record(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    name = getattr(function, "__name__", str(function))
    write = _WRITERS.get(name)
    if write is None:
        raise UnblurError(
            f"The network computes `{name}`, which cannot be exported yet; export another checkpoint, or add the "
            "operation to unblur/restoration/onnx_recording.py."
        )
    return write(*args, **kwargs)


def _name(graph: OnnxGraph, value: Value) -> str:
    """Return the name of `value`; tensors and numbers become constants."""
    if isinstance(value, RecordedTensor):
        return value.name
    if isinstance(value, Tensor):
        return graph.add_constant(value.detach().float().cpu().contiguous().numpy())
    return graph.add_scalar(value)


def _make_like(value: Any) -> Any:
    """Return `value` with tensors on device "meta", for computing shapes."""
    if isinstance(value, RecordedTensor):
        return value.like
    return value.detach().to("meta") if isinstance(value, Tensor) else value


def _elementwise(kind: str, compute: Callable[..., Any]) -> Callable[..., RecordedTensor]:
    def write(first: Value, second: Value) -> RecordedTensor:
        known = first if isinstance(first, RecordedTensor) else second
        assert isinstance(known, RecordedTensor)
        graph = known.graph
        name = graph.add(kind, _name(graph, first), _name(graph, second))
        return RecordedTensor(graph, name, compute(_make_like(first), _make_like(second)), known.sides)

    return write


def _pointwise(kind: str) -> Callable[..., RecordedTensor]:
    def write(x: RecordedTensor, inplace: bool = False) -> RecordedTensor:
        del inplace
        return RecordedTensor(x.graph, x.graph.add(kind, x.name), x.like, x.sides)

    return write


def _return_unchanged(x: RecordedTensor, *_: Any, **__: Any) -> RecordedTensor:
    """Return `x`: the graph has one precision and one memory format."""
    return x


def _dropout(x: RecordedTensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> RecordedTensor:
    """Return `x`. Raises ValueError for a network in training mode."""
    del p, inplace
    if training:
        raise ValueError("a network must be in evaluation mode to be exported")
    return x


def _to_pair(value: int | Sequence[int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value) * (2 // len(value))


def _conv2d(
    x: RecordedTensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> RecordedTensor:
    graph = x.graph
    inputs = [x.name, _name(graph, weight)] + ([] if bias is None else [_name(graph, bias)])
    name = graph.add(
        "Conv",
        *inputs,
        kernel_shape=list(weight.shape[2:]),
        strides=_to_pair(stride),
        pads=_to_pair(padding) * 2,
        dilations=_to_pair(dilation),
        group=groups,
    )
    return RecordedTensor(graph, name, F.conv2d(x.like, _make_like(weight), None, stride, padding, dilation, groups))


def _conv_transpose2d(
    x: RecordedTensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> RecordedTensor:
    graph = x.graph
    inputs = [x.name, _name(graph, weight)] + ([] if bias is None else [_name(graph, bias)])
    name = graph.add(
        "ConvTranspose",
        *inputs,
        kernel_shape=list(weight.shape[2:]),
        strides=_to_pair(stride),
        pads=_to_pair(padding) * 2,
        output_padding=_to_pair(output_padding),
        dilations=_to_pair(dilation),
        group=groups,
    )
    like = F.conv_transpose2d(x.like, _make_like(weight), None, stride, padding, output_padding, groups, dilation)
    return RecordedTensor(graph, name, like)


def _layer_norm(
    x: RecordedTensor, shape: Sequence[int], weight: Tensor, bias: Tensor, eps: float = 1e-5, **_: Any
) -> RecordedTensor:
    graph = x.graph
    names = (x.name, _name(graph, weight), _name(graph, bias))
    return RecordedTensor(
        graph, graph.add("LayerNormalization", *names, axis=-len(shape), epsilon=eps), x.like, x.sides
    )


def _permute(x: RecordedTensor, *order: Any) -> RecordedTensor:
    places = [place % x.like.dim() for place in (order[0] if isinstance(order[0], (tuple, list)) else order)]
    height, width = (places.index(side) for side in x.sides)
    return RecordedTensor(
        x.graph, x.graph.add("Transpose", x.name, perm=places), x.like.permute(places), (height, width)
    )


def _chunk(x: RecordedTensor, chunks: int, dim: int = 0) -> tuple[RecordedTensor, ...]:
    parts = x.like.chunk(chunks, dim)
    sizes = x.graph.add_integers(*(part.shape[dim] for part in parts))
    names = x.graph.add_with_outputs("Split", x.name, sizes, outputs=len(parts), axis=dim)
    return tuple(RecordedTensor(x.graph, name, part, x.sides) for name, part in zip(names, parts, strict=True))


def _cat(parts: Sequence[RecordedTensor], dim: int = 0) -> RecordedTensor:
    graph = next(part.graph for part in parts if isinstance(part, RecordedTensor))
    name = graph.add("Concat", *(_name(graph, part) for part in parts), axis=dim)
    return RecordedTensor(graph, name, torch.cat([_make_like(part) for part in parts], dim))


def _mean(x: RecordedTensor, dim: int | Sequence[int], keepdim: bool = False) -> RecordedTensor:
    axes = [dim] if isinstance(dim, int) else list(dim)
    name = x.graph.add("ReduceMean", x.name, axes=axes, keepdims=int(keepdim))
    return RecordedTensor(x.graph, name, x.like.mean(axes, keepdim), x.sides)


def _avg_pool2d(
    x: RecordedTensor, kernel_size: int | Sequence[int], stride: int | Sequence[int] | None = None
) -> RecordedTensor:
    strides = _to_pair(kernel_size if stride is None else stride)
    name = x.graph.add("AveragePool", x.name, kernel_shape=_to_pair(kernel_size), strides=strides)
    return RecordedTensor(x.graph, name, F.avg_pool2d(x.like, _to_pair(kernel_size), strides))


def _pixel_shuffle(x: RecordedTensor, factor: int) -> RecordedTensor:
    if factor == 1:
        return x
    name = x.graph.add("DepthToSpace", x.name, blocksize=factor, mode="CRD")
    return RecordedTensor(x.graph, name, F.pixel_shuffle(x.like, factor))


def _pixel_unshuffle(x: RecordedTensor, factor: int) -> RecordedTensor:
    if factor == 1:
        return x
    # A convolution selects the pixels. ONNX has SpaceToDepth, but with another order of channels; with a Gather to
    # correct it, the results of OpenVINO 2026.4 were wrong by 28 levels of 255.
    channels = x.like.shape[1]
    selection = np.eye(factor**2, dtype=np.float32).reshape(factor**2, 1, factor, factor)
    weights = x.graph.add_constant(np.tile(selection, (channels, 1, 1, 1)))
    square = [factor, factor]
    name = x.graph.add("Conv", x.name, weights, kernel_shape=square, strides=square, group=channels)
    return RecordedTensor(x.graph, name, F.pixel_unshuffle(x.like, factor))


def _interpolate(
    x: RecordedTensor,
    size: None = None,
    scale_factor: float | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    **_: Any,
) -> RecordedTensor:
    if size is not None or scale_factor is None or align_corners or mode not in ("nearest", "bilinear"):
        raise UnblurError(
            f"The network resizes in a way ({mode}) that cannot be exported yet; export another checkpoint."
        )
    scales = x.graph.add_constant(np.array([1, 1, scale_factor, scale_factor], np.float32))
    if mode == "nearest":
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    else:
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    like = F.interpolate(x.like, scale_factor=scale_factor, mode=mode)
    return RecordedTensor(x.graph, x.graph.add("Resize", x.name, "", scales, **how), like)


def _slice(x: RecordedTensor, which: Any) -> RecordedTensor:
    """Record `x[which]` for slices; an index that removes a dimension raises UnblurError."""
    parts = list(which) if isinstance(which, tuple) else [which]
    if Ellipsis in parts:
        place = parts.index(Ellipsis)
        parts[place : place + 1] = [slice(None)] * (x.like.dim() - len(parts) + 1)
    starts: list[int | Side] = []
    stops: list[int | Side] = []
    steps: list[int] = []
    axes: list[int] = []
    like = x.like
    for axis, part in enumerate(parts):
        if not isinstance(part, slice):
            raise UnblurError(
                "The network indexes single rows, which cannot be exported yet; export another checkpoint."
            )
        if part == slice(None):
            continue
        starts.append(0 if part.start is None else part.start)
        stops.append(_END if part.stop is None else part.stop)
        steps.append(part.step or 1)
        axes.append(axis)
        if not any(isinstance(end, Side) for end in (part.start, part.stop)):
            like = like[(slice(None),) * axis + (part,)]
    graph = x.graph
    name = graph.add("Slice", x.name, *(graph.add_integers(*each) for each in (starts, stops, axes, steps)))
    return RecordedTensor(graph, name, like, x.sides)


def _pad_to_multiple(x: RecordedTensor, of: int) -> RecordedTensor:
    if of == 1:
        return x
    graph = x.graph
    missing = graph.add("Mod", graph.add("Neg", x.height_and_width()), graph.add_integers(of))
    pads = graph.add("Concat", graph.add_integers(0, 0, 0, 0, 0, 0), missing, axis=0)
    return RecordedTensor(graph, graph.add("Pad", x.name, pads, mode="edge"), pad_to_multiple(x.like, of))


def _sliding_mean(x: RecordedTensor, window: int) -> RecordedTensor:
    """Record `average_over_windows`.

    Where the window covers the map, the formula gives the mean of the map everywhere.
    """
    graph = x.graph
    windows = graph.add("Min", x.height_and_width(), graph.add_integers(window, window))
    centre = graph.add("ReduceMean", x.name, axes=[2, 3], keepdims=1)
    name = graph.add("Sub", x.name, centre)
    rows_and_columns = graph.add_with_outputs("Split", windows, graph.add_integers(1, 1), outputs=2, axis=0)
    for axis, length in zip((2, 3), rows_and_columns, strict=True):
        first = [0] * 8
        first[axis] = 1
        sums = graph.add(
            "Pad", graph.add("CumSum", name, graph.add_constant(np.array(axis))), graph.add_integers(*first)
        )
        along = graph.add_integers(axis)
        later = graph.add("Slice", sums, length, graph.add_integers(_END), along)
        earlier = graph.add("Slice", sums, graph.add_integers(0), graph.add("Neg", length), along)
        name = graph.add("Div", graph.add("Sub", later, earlier), graph.add("Cast", length, to=1))
    missing = graph.add("Sub", windows, graph.add_integers(1))
    before = graph.add("Div", missing, graph.add_integers(2))
    nothing = graph.add_integers(0, 0)
    pads = graph.add("Concat", nothing, before, nothing, graph.add("Sub", missing, before), axis=0)
    name = graph.add("Add", graph.add("Pad", name, pads, mode="edge"), centre)
    return RecordedTensor(graph, name, x.like, x.sides)


_WRITERS: dict[str, Callable[..., Any]] = {
    "add": _elementwise("Add", torch.add),
    "sub": _elementwise("Sub", torch.sub),
    "mul": _elementwise("Mul", torch.mul),
    "div": _elementwise("Div", torch.div),
    "relu": _pointwise("Relu"),
    "sigmoid": _pointwise("Sigmoid"),
    "to": _return_unchanged,
    "float": _return_unchanged,
    "contiguous": _return_unchanged,
    "dropout2d": _dropout,
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "layer_norm": _layer_norm,
    "permute": _permute,
    "chunk": _chunk,
    "cat": _cat,
    "mean": _mean,
    "avg_pool2d": _avg_pool2d,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "interpolate": _interpolate,
    pad_to_multiple.__name__: _pad_to_multiple,
    average_over_windows.__name__: _sliding_mean,
}
"""Recording functions by PyTorch's names of the operations, and those of two functions that depend on sizes."""
