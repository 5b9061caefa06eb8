"""A network written down as an ONNX graph, by running it on something that records what is done to it.

One idea: PyTorch lets any object stand in for a tensor if it has `__torch_function__`. A `Recorded` stands for a
picture of any height and width; each operation on it adds nodes to the graph, and its sizes are computed by the graph
itself. So every network that is made of the operations in `_WRITERS` is exported by its own `forward`.

Why not torch.onnx: its exporter that follows torch.export took minutes for our network at three sizes, because it
reasons about each size as a formula, and it needs another package; its older exporter is deprecated. This one takes a
second or two, and writes operator set 17.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.models.padding import padded_to_multiple
from unblur.models.pooling import sliding_mean
from unblur.restoration.onnx_graph import OnnxGraph, Side

_SAMPLE_PX = 256
"""Side of the picture whose shapes are followed; the graph does not depend on it."""

_END = 2**31 - 1
"""Past the end of every side."""


class Recorded:
    """Stands for a tensor whose two last sides are known to the graph alone; `like` has its shape at one size."""

    def __init__(self, graph: OnnxGraph, name: str, like: Tensor, sides: tuple[int, int] = (2, 3)) -> None:
        """`like` is a tensor without data, on PyTorch's device "meta"; `sides` are where height and width are."""
        self.graph, self.name, self.like, self.sides = graph, name, like, sides
        self.dtype, self.device = torch.float32, torch.device("cpu")

    @property
    def shape(self) -> tuple[int | Side, ...]:
        """Numbers, and the sides that only the graph knows."""
        known: list[int | Side] = list(self.like.shape)
        for side in self.sides:
            known[side] = Side(self.graph.one("Shape", self.name, start=side, end=side + 1))
        return tuple(known)

    def height_and_width(self) -> str:
        """The name of both, int64 of shape (2,)."""
        return self.graph.one("Shape", self.name, start=2, end=4)

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by PyTorch instead of `function`."""
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


Value = Recorded | Tensor | float


def record(network: nn.Module) -> tuple[OnnxGraph, str]:
    """What `network` does to "input", (1, 3, height, width), and the name of what it gives.

    Raises UnblurError where it does what cannot be written.
    """
    graph = OnnxGraph()
    like = torch.empty(1, 3, _SAMPLE_PX, _SAMPLE_PX, device="meta")
    with torch.no_grad():
        restored = network(Recorded(graph, "input", like))
    if not isinstance(restored, Recorded):
        raise UnblurError(f"{type(network).__name__} gives more than a picture; export another checkpoint.")
    return graph, restored.name


def _record(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    name = getattr(function, "__name__", str(function))
    write = _WRITERS.get(name)
    if write is None:
        raise UnblurError(
            f"The network computes `{name}`, which the export cannot write yet; export another checkpoint, or add the "
            "operation to unblur/restoration/onnx_recording.py."
        )
    return write(*args, **kwargs)


def _name(graph: OnnxGraph, value: Value) -> str:
    """The name of a value, which becomes a constant where it is one."""
    if isinstance(value, Recorded):
        return value.name
    if isinstance(value, Tensor):
        return graph.constant(value.detach().float().cpu().contiguous().numpy())
    return graph.scalar(value)


def _like(value: Any) -> Any:
    """A value as PyTorch follows shapes of it."""
    if isinstance(value, Recorded):
        return value.like
    return value.detach().to("meta") if isinstance(value, Tensor) else value


def _elementwise(kind: str, compute: Callable[..., Any]) -> Callable[..., Recorded]:
    def write(first: Value, second: Value) -> Recorded:
        known = first if isinstance(first, Recorded) else second
        assert isinstance(known, Recorded)
        graph = known.graph
        name = graph.one(kind, _name(graph, first), _name(graph, second))
        return Recorded(graph, name, compute(_like(first), _like(second)), known.sides)

    return write


def _pointwise(kind: str) -> Callable[..., Recorded]:
    def write(x: Recorded, inplace: bool = False) -> Recorded:
        del inplace
        return Recorded(x.graph, x.graph.one(kind, x.name), x.like, x.sides)

    return write


def _same(x: Recorded, *_: Any, **__: Any) -> Recorded:
    """Precisions and memory formats: the graph has one of each."""
    return x


def _dropout(x: Recorded, p: float = 0.5, training: bool = True, inplace: bool = False) -> Recorded:
    """Nothing but in training."""
    del p, inplace
    if training:
        raise ValueError("a network must be in evaluation mode to be exported")
    return x


def _pair(value: int | Sequence[int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value) * (2 // len(value))


def _conv2d(
    x: Recorded,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Recorded:
    graph = x.graph
    inputs = [x.name, _name(graph, weight)] + ([] if bias is None else [_name(graph, bias)])
    name = graph.one(
        "Conv",
        *inputs,
        kernel_shape=list(weight.shape[2:]),
        strides=_pair(stride),
        pads=_pair(padding) * 2,
        dilations=_pair(dilation),
        group=groups,
    )
    return Recorded(graph, name, F.conv2d(x.like, _like(weight), None, stride, padding, dilation, groups))


def _conv_transpose2d(
    x: Recorded,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> Recorded:
    graph = x.graph
    inputs = [x.name, _name(graph, weight)] + ([] if bias is None else [_name(graph, bias)])
    name = graph.one(
        "ConvTranspose",
        *inputs,
        kernel_shape=list(weight.shape[2:]),
        strides=_pair(stride),
        pads=_pair(padding) * 2,
        output_padding=_pair(output_padding),
        dilations=_pair(dilation),
        group=groups,
    )
    like = F.conv_transpose2d(x.like, _like(weight), None, stride, padding, output_padding, groups, dilation)
    return Recorded(graph, name, like)


def _layer_norm(
    x: Recorded, shape: Sequence[int], weight: Tensor, bias: Tensor, eps: float = 1e-5, **_: Any
) -> Recorded:
    graph = x.graph
    names = (x.name, _name(graph, weight), _name(graph, bias))
    return Recorded(graph, graph.one("LayerNormalization", *names, axis=-len(shape), epsilon=eps), x.like, x.sides)


def _permute(x: Recorded, *order: Any) -> Recorded:
    places = [place % x.like.dim() for place in (order[0] if isinstance(order[0], (tuple, list)) else order)]
    height, width = (places.index(side) for side in x.sides)
    return Recorded(x.graph, x.graph.one("Transpose", x.name, perm=places), x.like.permute(places), (height, width))


def _chunk(x: Recorded, chunks: int, dim: int = 0) -> tuple[Recorded, ...]:
    parts = x.like.chunk(chunks, dim)
    sizes = x.graph.integers(*(part.shape[dim] for part in parts))
    names = x.graph.add("Split", x.name, sizes, outputs=len(parts), axis=dim)
    return tuple(Recorded(x.graph, name, part, x.sides) for name, part in zip(names, parts, strict=True))


def _cat(parts: Sequence[Recorded], dim: int = 0) -> Recorded:
    graph = next(part.graph for part in parts if isinstance(part, Recorded))
    name = graph.one("Concat", *(_name(graph, part) for part in parts), axis=dim)
    return Recorded(graph, name, torch.cat([_like(part) for part in parts], dim))


def _mean(x: Recorded, dim: int | Sequence[int], keepdim: bool = False) -> Recorded:
    axes = [dim] if isinstance(dim, int) else list(dim)
    name = x.graph.one("ReduceMean", x.name, axes=axes, keepdims=int(keepdim))
    return Recorded(x.graph, name, x.like.mean(axes, keepdim), x.sides)


def _avg_pool2d(x: Recorded, kernel_size: int | Sequence[int], stride: int | Sequence[int] | None = None) -> Recorded:
    strides = _pair(kernel_size if stride is None else stride)
    name = x.graph.one("AveragePool", x.name, kernel_shape=_pair(kernel_size), strides=strides)
    return Recorded(x.graph, name, F.avg_pool2d(x.like, _pair(kernel_size), strides))


def _pixel_shuffle(x: Recorded, factor: int) -> Recorded:
    if factor == 1:
        return x
    name = x.graph.one("DepthToSpace", x.name, blocksize=factor, mode="CRD")
    return Recorded(x.graph, name, F.pixel_shuffle(x.like, factor))


def _pixel_unshuffle(x: Recorded, factor: int) -> Recorded:
    if factor == 1:
        return x
    # A convolution that picks pixels. ONNX has SpaceToDepth, whose channels come in another order; OpenVINO 2026.4 was
    # wrong by 28 levels of 255 where a Gather put them right.
    channels = x.like.shape[1]
    picks = np.eye(factor**2, dtype=np.float32).reshape(factor**2, 1, factor, factor)
    weights = x.graph.constant(np.tile(picks, (channels, 1, 1, 1)))
    square = [factor, factor]
    name = x.graph.one("Conv", x.name, weights, kernel_shape=square, strides=square, group=channels)
    return Recorded(x.graph, name, F.pixel_unshuffle(x.like, factor))


def _interpolate(
    x: Recorded,
    size: None = None,
    scale_factor: float | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    **_: Any,
) -> Recorded:
    if size is not None or scale_factor is None or align_corners or mode not in ("nearest", "bilinear"):
        raise UnblurError(f"The network resizes ({mode}) as the export cannot write yet; export another checkpoint.")
    scales = x.graph.constant(np.array([1, 1, scale_factor, scale_factor], np.float32))
    if mode == "nearest":
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    else:
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    like = F.interpolate(x.like, scale_factor=scale_factor, mode=mode)
    return Recorded(x.graph, x.graph.one("Resize", x.name, "", scales, **how), like)


def _slice(x: Recorded, which: Any) -> Recorded:
    """`x[which]`, of slices that keep every dimension."""
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
            raise UnblurError("The network takes single rows, which the export cannot write yet; export another one.")
        if part == slice(None):
            continue
        starts.append(0 if part.start is None else part.start)
        stops.append(_END if part.stop is None else part.stop)
        steps.append(part.step or 1)
        axes.append(axis)
        if not any(isinstance(end, Side) for end in (part.start, part.stop)):
            like = like[(slice(None),) * axis + (part,)]
    graph = x.graph
    name = graph.one("Slice", x.name, *(graph.integers(*each) for each in (starts, stops, axes, steps)))
    return Recorded(graph, name, like, x.sides)


def _padded_to_multiple(x: Recorded, of: int) -> Recorded:
    if of == 1:
        return x
    graph = x.graph
    missing = graph.one("Mod", graph.one("Neg", x.height_and_width()), graph.integers(of))
    pads = graph.one("Concat", graph.integers(0, 0, 0, 0, 0, 0), missing, axis=0)
    return Recorded(graph, graph.one("Pad", x.name, pads, mode="edge"), padded_to_multiple(x.like, of))


def _sliding_mean(x: Recorded, window: int) -> Recorded:
    """As `sliding_mean`; where the window covers the map, its formula gives the mean of the map everywhere."""
    graph = x.graph
    windows = graph.one("Min", x.height_and_width(), graph.integers(window, window))
    centre = graph.one("ReduceMean", x.name, axes=[2, 3], keepdims=1)
    name = graph.one("Sub", x.name, centre)
    rows_and_columns = graph.add("Split", windows, graph.integers(1, 1), outputs=2, axis=0)
    for axis, length in zip((2, 3), rows_and_columns, strict=True):
        first = [0] * 8
        first[axis] = 1
        sums = graph.one("Pad", graph.one("CumSum", name, graph.constant(np.array(axis))), graph.integers(*first))
        along = graph.integers(axis)
        later = graph.one("Slice", sums, length, graph.integers(_END), along)
        earlier = graph.one("Slice", sums, graph.integers(0), graph.one("Neg", length), along)
        name = graph.one("Div", graph.one("Sub", later, earlier), graph.one("Cast", length, to=1))
    missing = graph.one("Sub", windows, graph.integers(1))
    before = graph.one("Div", missing, graph.integers(2))
    nothing = graph.integers(0, 0)
    pads = graph.one("Concat", nothing, before, nothing, graph.one("Sub", missing, before), axis=0)
    name = graph.one("Add", graph.one("Pad", name, pads, mode="edge"), centre)
    return Recorded(graph, name, x.like, x.sides)


_WRITERS: dict[str, Callable[..., Any]] = {
    "add": _elementwise("Add", torch.add),
    "sub": _elementwise("Sub", torch.sub),
    "mul": _elementwise("Mul", torch.mul),
    "div": _elementwise("Div", torch.div),
    "relu": _pointwise("Relu"),
    "sigmoid": _pointwise("Sigmoid"),
    "to": _same,
    "float": _same,
    "contiguous": _same,
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
    padded_to_multiple.__name__: _padded_to_multiple,
    sliding_mean.__name__: _sliding_mean,
}
"""Operations by the names that PyTorch gives them, and two functions of our own that depend on sizes."""
