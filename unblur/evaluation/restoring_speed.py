"""Processor time of restoring photographs of several sizes, in every runtime that is installed, beside peers."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from unblur.errors import UnblurError
from unblur.evaluation.method import Method, MethodSpec, open_method
from unblur.names import Mode, Precision, Runtime
from unblur.restoration.device import choose_device, has_fast_bfloat16
from unblur.restoration.loading import load

Restore = Callable[[NDArray[np.uint8]], object]
"""Restores one picture, (H, W, 3)."""

MODES: tuple[Mode, ...] = ("faithful", "fast")

RUNTIMES: tuple[tuple[Runtime, Precision], ...] = (
    ("torch", "float32"),
    ("torch", "bfloat16"),
    ("onnx", "float32"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
)

_WARM_UP_PX = 256


@dataclass(frozen=True, kw_only=True)
class RestoringSpeed:
    """Processor seconds of restoring one photograph."""

    method: str
    """The mode or the peer, and for modes the runtime and the precision."""
    megapixels: float
    core_s: float


def measure_restoring_speed(photo: Tensor, megapixels: list[float], peers: list[str]) -> Iterator[RestoringSpeed]:
    """Restore `photo`, (3, H, W) sRGB uint8, scaled to each number of megapixels, without solving camera shake.

    Yields the times of the modes in each installed runtime and precision, then those of `peers`, which are methods of
    `unblur evaluate`. Raises UnblurError for an unknown method.
    """
    for name, restore in _iterate_methods(peers):
        restore(_scale(photo, _WARM_UP_PX**2 / 1e6))
        for size in megapixels:
            picture = _scale(photo, size)
            began = time.process_time()
            restore(picture)
            yield RestoringSpeed(method=name, megapixels=size, core_s=time.process_time() - began)


def _iterate_methods(peers: list[str]) -> Iterator[tuple[str, Restore]]:
    for mode in MODES:
        for runtime, precision in RUNTIMES:
            if precision == "bfloat16" and not has_fast_bfloat16(choose_device("cpu")):
                continue
            try:
                restorer = load(device="cpu", precision=precision, mode=mode, shake="off", runtime=runtime)
            except UnblurError:
                # A runtime that is not installed has no line.
                continue
            yield f"{mode}, {runtime} {precision}", restorer.restore
    for peer in peers:
        method = open_method(MethodSpec(method=peer, device="cpu"))
        yield method.name, partial(_apply, method)


def _apply(method: Method, picture: NDArray[np.uint8]) -> object:
    return method.apply(picture, "photograph")


def _scale(photo: Tensor, megapixels: float) -> NDArray[np.uint8]:
    """Scale a photograph to about so many pixels, (3, H, W) -> (H, W, 3) uint8."""
    factor = (megapixels * 1e6 / (photo.shape[1] * photo.shape[2])) ** 0.5
    size = [max(1, round(side * factor)) for side in photo.shape[1:]]
    scaled = F.interpolate(photo[None].float(), size, mode="bilinear", antialias=factor < 1)[0]
    return scaled.round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
