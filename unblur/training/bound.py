"""How much arithmetic this machine can do, and the share of it that networks reach.

The bound is the fastest convolution and the fastest matrix product among several shapes, measured in the same run. A
step of training costs three times the multiply-accumulates (MACs) of the forward pass: the pass itself, the gradient of
its input and that of its weights. Times are processor seconds of one thread: other work on the machine does not count.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from unblur.evaluation.cost import macs_of
from unblur.models import RestorerConfig, build
from unblur.training.losses import psnr_loss

PRODUCT_SIDES = (512, 1024, 2048)
"""Rows and columns of the matrices that are multiplied."""

CONVOLUTION_SHAPES = ((64, 256), (128, 128), (256, 64), (512, 32))
"""(channels, side in pixels) of the 3x3 convolutions."""

_PASSES_OF_A_STEP = 3


@dataclass(frozen=True, kw_only=True)
class Bound:
    """The most that one core of this machine computes, in 1e9 MACs a second."""

    dtype: torch.dtype
    convolution_gmac_s: float
    product_gmac_s: float

    @property
    def gmac_s(self) -> float:
        """The larger of the two."""
        return max(self.convolution_gmac_s, self.product_gmac_s)


@dataclass(frozen=True, kw_only=True)
class NetworkSpeed:
    """Of one network in bfloat16, in processor seconds of one core."""

    gmac_per_mp: float
    """1e9 MACs to restore a megapixel."""
    training_s_per_mp: float
    """Forward pass, loss, backward pass and update, without simulation and loading."""
    training_share: float
    """Of the bound, 0 to 1."""
    restoring_s_per_mp: float
    restoring_share: float
    """Of the bound, 0 to 1."""


def bound(dtype: torch.dtype, seconds: float = 0.3) -> Bound:
    """Measure what one thread reaches in `dtype`, about `seconds` for each shape."""
    products, convolutions = [], []
    with torch.inference_mode():
        for side in PRODUCT_SIDES:
            first, second = torch.rand(2, side, side).to(dtype).unbind(0)
            products.append(side**3 / _processor_s(lambda a=first, b=second: a @ b, seconds))  # type: ignore[misc]
        for channels, side in CONVOLUTION_SHAPES:
            picture = _channels_last(torch.rand(1, channels, side, side).to(dtype))
            weight = _channels_last(torch.rand(channels, channels, 3, 3).to(dtype))
            spent_s = _processor_s(lambda x=picture, w=weight: F.conv2d(x, w, padding=1), seconds)  # type: ignore[misc]
            convolutions.append(9 * channels**2 * side**2 / spent_s)
    return Bound(dtype=dtype, convolution_gmac_s=max(convolutions) / 1e9, product_gmac_s=max(products) / 1e9)


def network_speed(
    config: RestorerConfig, batch: int, patch_px: int, within: Bound, side_px: int = 768, seconds: float = 2.0
) -> NetworkSpeed:
    """Train on `batch` patches and restore one photograph of `side_px`, about `seconds` each, in bfloat16."""
    model: nn.Module = build(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    gmac_per_mp = macs_of(lambda: model(torch.zeros(1, 3, 256, 256))) / 256**2 / 1e3
    photograph = _channels_last(torch.rand(1, 3, side_px, side_px))
    patches = _channels_last(torch.rand(batch, 3, patch_px, patch_px))
    sharp = torch.rand_like(patches)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16):
            restored = model(patches)
        psnr_loss(restored, sharp, 1e-4).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def restore() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            model(photograph)

    training_s = _processor_s(step, seconds) / (batch * patch_px**2 / 1e6)
    model.eval()
    restoring_s = _processor_s(restore, seconds) / (side_px**2 / 1e6)
    return NetworkSpeed(
        gmac_per_mp=gmac_per_mp,
        training_s_per_mp=training_s,
        training_share=_PASSES_OF_A_STEP * gmac_per_mp / training_s / within.gmac_s,
        restoring_s_per_mp=restoring_s,
        restoring_share=gmac_per_mp / restoring_s / within.gmac_s,
    )


def _channels_last(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)


def _processor_s(work: Callable[[], object], seconds: float) -> float:
    """Mean processor seconds of `work` after two calls for warming up, repeated for about `seconds`."""
    work()
    work()
    times, began = 0, time.process_time()
    while (spent := time.process_time() - began) < seconds or times == 0:
        work()
        times += 1
    return max(spent, 1e-9) / times
