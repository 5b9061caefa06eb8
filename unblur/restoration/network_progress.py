"""The progress inside one run of a network, which is otherwise a single step of many seconds."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from unblur.restoration.tiled import Progress

Network = Callable[[Tensor], Tensor]
"""A network, (B, C, H, W) -> the same, of any size."""

PROBE_PX = 64
"""Side of the image on which the work of a network is counted beforehand."""

LEAST_PX = 256 * 256
"""Pixels below which a network takes too little time for a report of progress."""


def run_with_progress(network: Network, image: Tensor, progress: Progress | None) -> Tensor:
    """Return `network(image)`, and report the share of its convolutions that are done.

    The work is that of the convolutions in PyTorch, weighted by the size of their outputs and counted first on a small
    image. Networks that run elsewhere report nothing but their end. What `progress` raises ends the run.
    """
    height, width = image.shape[-2:]
    if progress is None:
        return network(image)
    if height * width < LEAST_PX:
        restored = network(image)
    else:
        probe = _WorkMeter(lambda _: None)
        with probe:
            network(image.new_zeros(*image.shape[:-2], PROBE_PX, PROBE_PX))
        expected = probe.done * (height * width / PROBE_PX**2)
        with _WorkMeter(lambda done: progress(min(1.0, done / expected))):
            restored = network(image)
    progress(1.0)
    return restored


class _WorkMeter(TorchFunctionMode):
    """Context that counts the work of convolutions in this thread, and reports the sum after each."""

    def __init__(self, report: Callable[[float], None]) -> None:
        super().__init__()
        self.done = 0.0
        self._report = report

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in _CONVOLUTIONS:
            self.done += result.numel()
            self._report(self.done)
        return result


_CONVOLUTIONS = frozenset({torch.conv2d, torch.conv_transpose2d})
"""The functions that PyTorch's convolutional modules call."""
