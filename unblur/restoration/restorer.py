"""A network applied to a photograph of any size and kind, in bounded memory.

The photograph is restored in tiles (see `tiled`). Networks with averages over their whole input would give each tile a
result of its own; `pooling_window_px` limits such averages to a sliding window, which is the same inside a tile as
inside the whole photograph except within half a window of an edge that is not the photograph's.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unblur.models.pooling import use_local_pooling
from unblur.names import Precision
from unblur.restoration.device import choose_device, uses_bfloat16
from unblur.restoration.guard import is_sane
from unblur.restoration.network_progress import run_with_progress
from unblur.restoration.picture_restorer import PictureRestorer, describe_restorer
from unblur.restoration.runtimes import NetworkRuntime, TorchRuntime
from unblur.restoration.shake import Shake
from unblur.restoration.shake_solver import ShakeSolver, SolvedShake
from unblur.restoration.tiled import (
    Progress,
    Tile,
    TiledPixels,
    Tiling,
    Window,
    WindowResult,
    restore_in_tiles,
    split_progress,
)
from unblur.restoration.windows import to_array, to_channels, to_float, to_tensor

BYTES_PER_TILE_PX = 2000
"""Bytes for each pixel of a tile: 1300 measured for the bundled network in float32 on a CPU, and reserve."""

ESTIMATING_MEGAPIXELS = 1.5
"""Megapixels whose restoration takes about as long as estimating the shake of a photograph of any size."""

SHARE_OF_NETWORK = 0.5
"""Share of the progress of a window for the network, where camera shake is solved."""


@dataclass(frozen=True, kw_only=True)
class RestorationSettings:
    """Settings of a restoration, besides the network and the photograph."""

    pooling_window_px: int | None = None
    """Reach of averages inside the network; None averages over the tile."""
    overlap_px: int = 128
    """Pixels that neighbouring tiles share."""
    feather_px: int = 64
    """Pixels, in the middle of the overlap, over which one tile fades into the next."""
    precision: Precision = "auto"
    """bfloat16 costs digits of the correction, not of the photograph. "auto" uses it where it is fast, and
    only on 8-bit photographs."""


class Restorer(PictureRestorer):
    """Restorer of photographs with one network. It never changes after construction: threads may share it."""

    def __init__(
        self,
        model: nn.Module,
        settings: RestorationSettings | None = None,
        *,
        device: str = "auto",
        checkpoint_sha256: str | None = None,
        shake_solver: ShakeSolver | None = None,
        runtime: NetworkRuntime | None = None,
    ) -> None:
        """Take over `model`, (B, 3, H, W) in [0, 1] -> same: move it to `device` and set its pooling.

        With a `shake_solver`, camera shake is estimated and deconvolved where that is worth it. `runtime` runs an
        exported copy of `model`; None runs `model` in PyTorch.
        """
        self.settings = settings or RestorationSettings()
        self.device = choose_device(device)
        self.checkpoint_sha256 = checkpoint_sha256
        self._shake_solver = shake_solver
        self._model = model.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        use_local_pooling(self._model, self.settings.pooling_window_px)
        self._run = runtime or TorchRuntime(self._model, self.device)

    def __repr__(self) -> str:
        """Return the network, the device and the checkpoint."""
        return describe_restorer(self, self._model)

    @property
    def network(self) -> nn.Module:
        """The network, (B, 3, H, W) in [0, 1] -> same, with the pooling window of the settings."""
        network: nn.Module = self._model
        return network

    def _restore_pixels(
        self,
        pixels: NDArray[Any],
        alpha: NDArray[Any] | None,
        strength: float,
        tile: Tile,
        progress: Progress | None,
    ) -> tuple[TiledPixels, Shake | None]:
        """Restore (H, W, C) -> same, and return the shake that was solved too."""
        solved = None
        if self._shake_solver is not None and strength > 0:
            share = compute_share_of_estimating(pixels)
            estimating, progress = split_progress(progress, (share, 1 - share))
            solved = self._shake_solver.solve(pixels, self.apply_network, estimating)
        # Near a border of a tile, deconvolution lacks the light from outside.
        reach_px = 0 if solved is None else 2 * math.ceil(solved.shake.length_px)
        tiling = Tiling(
            overlap_px=max(self.settings.overlap_px, self.settings.feather_px + reach_px),
            feather_px=self.settings.feather_px,
            bytes_per_px=BYTES_PER_TILE_PX,
        )
        result = restore_in_tiles(
            pixels,
            alpha,
            partial(self._restore_window, solved),
            strength=strength,
            tile=tile,
            tiling=tiling,
            device=self.device,
            progress=progress,
        )
        return result, None if solved is None else solved.shake

    def apply_network(self, blurry: Tensor) -> Tensor:
        """Apply the network to a whole image, without tiles or safeguards. (1, 3, h, w) on the CPU -> same."""
        image = blurry.to(self.device, memory_format=torch.channels_last)
        return self._run(image, bfloat16=self.uses_bfloat16(np.dtype(np.uint8))).cpu()

    def _restore_window(self, solved: SolvedShake | None, window: Window, progress: Progress | None) -> WindowResult:
        values = to_float(window.pixels)
        blurry = to_tensor(values, self.device)
        bfloat16 = self.uses_bfloat16(window.pixels.dtype)
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=bfloat16):
            share = 1.0 if solved is None else SHARE_OF_NETWORK
            running, fusing = split_progress(progress, (share, 1 - share))
            restored = run_with_progress(partial(self._run, bfloat16=bfloat16), blurry, running)
            if not is_sane(restored, blurry):
                return WindowResult(values, "unchanged")
            if solved is not None:
                restored = solved.fuse(blurry, restored, window.left_px, window.top_px, fusing)
            return WindowResult(to_array(to_channels(restored, values.shape[2])), "restored")

    def uses_bfloat16(self, dtype: np.dtype[Any]) -> bool:
        """Return whether photographs of this dtype are restored in bfloat16 instead of float32."""
        return uses_bfloat16(self.settings.precision, self.device, dtype)


def compute_share_of_estimating(pixels: NDArray[Any]) -> float:
    """Return the share of the progress of a photograph, (H, W, C), for estimating its shake."""
    megapixels = math.prod(pixels.shape[:2]) / 1e6
    return ESTIMATING_MEGAPIXELS / (ESTIMATING_MEGAPIXELS + megapixels)
