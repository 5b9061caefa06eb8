"""Camera shake solved: estimated on the photograph, deconvolved, and joined with the network's restoration."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from unblur.checkpoints.folder import BUNDLED_KERNEL_ESTIMATOR, BUNDLED_SHAKE_FUSION, load_checkpoint
from unblur.deconvolution.candidates import deconvolve_candidates
from unblur.errors import UnblurError
from unblur.models import KernelEstimator, ShakeFusion
from unblur.photos.color import linear_to_srgb, srgb_to_linear
from unblur.restoration.grain import measure_grain, remove_grain
from unblur.restoration.guard import is_sane
from unblur.restoration.shake import SMALLEST_PX, Shake, ShakeEstimator
from unblur.restoration.tiled import Progress, split_progress
from unblur.restoration.windows import to_float, to_tensor

MOST_CONCENTRATED = 0.8
"""Concentration of the kernel above which only the network restores. Kernels that are estimated on sharp photographs
have 0.93 and more, and are up to 10 px long by faint tails; deconvolution would sharpen noise."""

GRAIN_PX = 384
"""Side of the part of a photograph that its grain is measured on."""

LEAST_CONFIDENCE = 0.2
"""Confidence below which a kernel is not used."""


SHARE_OF_DECONVOLVING = 0.7
"""Share of the progress of joining a window for its deconvolution."""


@dataclass(frozen=True, kw_only=True)
class SolvedShake:
    """A shake that improves the restoration, and the network that joins its deconvolution."""

    shake: Shake
    fusion: ShakeFusion
    grain: Tensor | None = None
    """The noise in the detail that the fusion adds, as `measure_grain` returns it; None removes none."""

    def fuse(
        self, blurry: Tensor, restored: Tensor, left_px: int, top_px: int, progress: Progress | None = None
    ) -> Tensor:
        """Join the restoration of a window with its deconvolution. (1, 3, H, W) sRGB in [0, 1], twice -> same.

        Returns `restored` where the result is not plausible. The window begins at (left, top) of the photograph.
        """
        deconvolving, fusing = split_progress(progress, (SHARE_OF_DECONVOLVING, 1 - SHARE_OF_DECONVOLVING))
        light = srgb_to_linear(blurry[0].cpu().float())
        shake = self.shake
        candidates = deconvolve_candidates(
            light,
            shake.path,
            shake.noise,
            clipping_level=shake.clipping_level,
            left_px=left_px,
            top_px=top_px,
            on_candidate=deconvolving,
        )
        deconvolved = linear_to_srgb(candidates.clamp(0, 1))[None].to(blurry.device)
        if fusing:
            fusing(0.0)
        error = blurry.new_tensor([1 - self.shake.confidence])
        length_px = blurry.new_tensor([self.shake.length_px])
        # The mean of two orientations makes fewer mistakes than either, for a small part of the time.
        upright = self.fusion(blurry, restored, deconvolved, error, length_px).float()
        turned = self.fusion(*(images.flip(-2, -1) for images in (blurry, restored, deconvolved)), error, length_px)
        fused: Tensor = (upright + turned.float().flip(-2, -1)) / 2
        if self.grain is not None:
            fused = restored + remove_grain(fused - restored, self.grain)
        return fused if is_sane(fused, blurry) else restored


class ShakeSolver:
    """Solver of camera shake that leaves out photographs where it would not improve the restoration."""

    def __init__(self, estimator: KernelEstimator, fusion: ShakeFusion, *, always: bool = False) -> None:
        """Take over networks that are in evaluation mode. With `always`, short and uncertain shake is solved too."""
        self._estimator = estimator
        self._fusion = fusion
        self._always = always

    def solve(
        self, pixels: NDArray[Any], restore: Callable[[Tensor], Tensor], progress: Progress | None = None
    ) -> SolvedShake | None:
        """Estimate the shake of (H, W, C) pixels; None where they are too few, or it is too short or uncertain to use.

        `restore` is the restoring network, (1, 3, H, W) sRGB in [0, 1] -> same, on the CPU. `progress` is called with
        the share of the estimate that is done.
        """
        if min(pixels.shape[:2]) < SMALLEST_PX:
            return None
        shake = ShakeEstimator(restore, self._estimator).estimate(pixels, progress)
        if not (is_worth_solving(shake) or self._always):
            return None
        solved = SolvedShake(shake=shake, fusion=self._fusion)
        return replace(solved, grain=_measure_grain(solved, pixels, restore))


def is_worth_solving(shake: Shake) -> bool:
    """Return whether a shake is long and certain enough to be solved."""
    return shake.path.concentration <= MOST_CONCENTRATED and shake.confidence >= LEAST_CONFIDENCE


def _measure_grain(solved: SolvedShake, pixels: NDArray[Any], restore: Callable[[Tensor], Tensor]) -> Tensor:
    """Measure the grain in the middle of the part that the shake was estimated on; it is the same for all tiles."""
    left, top, width, height = solved.shake.region_px
    left, top = left + max(0, width - GRAIN_PX) // 2, top + max(0, height - GRAIN_PX) // 2
    part = pixels[top : top + min(height, GRAIN_PX), left : left + min(width, GRAIN_PX)]
    blurry = to_tensor(to_float(part), torch.device("cpu"))
    device = next(solved.fusion.parameters()).device
    with torch.inference_mode():
        blurry, restored = blurry.to(device), restore(blurry).to(device)
        return measure_grain(solved.fuse(blurry, restored, left, top) - restored)


def load_shake_solver(
    device: torch.device, *, fusion: Path = BUNDLED_SHAKE_FUSION, always: bool = False
) -> ShakeSolver:
    """Load the bundled kernel estimator and the fusion network in the folder `fusion`.

    With `always`, short and uncertain shake is solved too, which may make a photograph worse. Raises UnblurError when
    the weights are missing, damaged, or of another network.
    """
    estimator = load_checkpoint(BUNDLED_KERNEL_ESTIMATOR).model
    found = load_checkpoint(fusion)
    assert isinstance(estimator, KernelEstimator)
    if not isinstance(found.model, ShakeFusion):
        raise UnblurError(f"{fusion} holds no fusion network; train one by experiments.train_shake_fusion.")
    network = found.model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ShakeSolver(estimator, network, always=always)
