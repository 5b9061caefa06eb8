"""Camera shake solved: estimated on the photograph, deconvolved, and joined with the network's restoration."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from unblur.checkpoints.folder import BUNDLED_KERNEL_ESTIMATOR, load_checkpoint
from unblur.deconvolution.non_blind import Deconvolution, deconvolve
from unblur.errors import UnblurError
from unblur.models import KernelEstimator, ShakeFusion
from unblur.photos.color import linear_to_srgb, srgb_to_linear
from unblur.restoration.shake import SMALLEST_PX, Shake, ShakeEstimator

SHORTEST_PX = 2.5
"""Blur below this is the network's alone: deconvolution would sharpen noise."""

LEAST_CONFIDENCE = 0.35
"""Confidence below which a kernel is not used."""


@dataclass(frozen=True, kw_only=True)
class SolvedShake:
    """A shake that is worth using, and the network that uses it."""

    shake: Shake
    fusion: ShakeFusion

    def fuse(self, blurry: Tensor, restored: Tensor, left_px: int, top_px: int) -> Tensor:
        """Join the restoration of a window with its deconvolution. (1, 3, H, W) sRGB in [0, 1], twice -> same.

        The window begins at (left, top) of the photograph.
        """
        light = srgb_to_linear(blurry[0].cpu().float())
        settings = Deconvolution(noise=self.shake.noise)
        sharp = deconvolve(light, self.shake.path, settings, left_px=left_px, top_px=top_px).clamp(0, 1)
        deconvolved = linear_to_srgb(sharp)[None].to(blurry.device)
        error = blurry.new_tensor([1 - self.shake.confidence])
        length_px = blurry.new_tensor([self.shake.length_px])
        fused: Tensor = self.fusion(blurry, restored, deconvolved, error, length_px)
        return fused.float()


class ShakeSolver:
    """Decides for each photograph whether its shake is worth solving."""

    def __init__(self, estimator: KernelEstimator, fusion: ShakeFusion) -> None:
        """Take over networks that are in evaluation mode."""
        self._estimator = estimator
        self._fusion = fusion

    def solve(self, pixels: NDArray[Any], restore: Callable[[Tensor], Tensor]) -> SolvedShake | None:
        """Estimate the shake of (H, W, C) pixels; None where it is too small, too short or too uncertain to use.

        `restore` is the restoring network, (1, 3, H, W) sRGB in [0, 1] -> same, on the CPU.
        """
        if min(pixels.shape[:2]) < SMALLEST_PX:
            return None
        shake = ShakeEstimator(restore, self._estimator).estimate(pixels)
        worth_it = shake.length_px >= SHORTEST_PX and shake.confidence >= LEAST_CONFIDENCE
        return SolvedShake(shake=shake, fusion=self._fusion) if worth_it else None


def load_shake_solver(fusion: Path, device: torch.device) -> ShakeSolver:
    """The bundled kernel estimator with the fusion network in the folder `fusion`.

    Raises UnblurError when the weights are missing, damaged, or of another network.
    """
    estimator = load_checkpoint(BUNDLED_KERNEL_ESTIMATOR).model
    found = load_checkpoint(fusion)
    assert isinstance(estimator, KernelEstimator)
    if not isinstance(found.model, ShakeFusion):
        raise UnblurError(f"{fusion} holds no fusion network; train one by experiments.train_shake_fusion.")
    network = found.model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ShakeSolver(estimator, network)
