"""A network applied to a photograph of any size and kind, in bounded memory.

The photograph is restored in tiles (see `tiled`). Networks with averages over their whole input would give each tile a
result of its own; `pooling_window_px` limits such averages to a sliding window, which is the same inside a tile as
inside the whole photograph except within half a window of an edge that is not the photograph's.
"""

import math
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unblur.checkpoints.folder import BUNDLED_RESTORER, BUNDLED_SHAKE_FUSION, load_checkpoint
from unblur.errors import UnblurError
from unblur.models import GlowConfig, MultiScale, RestorerConfig
from unblur.models.multiscale import HalfResolution
from unblur.models.pooling import use_local_pooling, usual_window_px
from unblur.names import Precision, Runtime, ShakeChoice
from unblur.photos.files import read_photo
from unblur.photos.photo import Photo
from unblur.restoration.blend import full_scale
from unblur.restoration.device import choose_device, uses_bfloat16
from unblur.restoration.guard import is_sane
from unblur.restoration.pictures import Planes, extract_planes, rebuild_picture
from unblur.restoration.runtimes import NetworkRuntime, TorchRuntime, choose_runtime_device, load_runtime
from unblur.restoration.shake import Shake
from unblur.restoration.shake_solver import ShakeSolver, SolvedShake, load_shake_solver
from unblur.restoration.tiled import (
    Progress,
    Tile,
    TiledPixels,
    Tiling,
    Window,
    WindowResult,
    restore_in_tiles,
    scale_progress,
    split_progress,
)
from unblur.restoration.windows import to_array, to_channels, to_float, to_tensor

Picture = TypeVar("Picture")

BYTES_PER_TILE_PX = 2000
"""Bytes for each pixel of a tile: 1300 measured for the bundled network in float32 on a CPU, and reserve."""

SHARE_OF_ESTIMATING = 0.3
"""Share of the progress of a photograph for estimating its shake."""

HARDLY_CHANGED = 0.3 / 255
"""Mean absolute change, as a share of full scale, below which no difference is visible."""


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


@dataclass(frozen=True, kw_only=True)
class Restoration:
    """A restored photograph and how it came about."""

    photo: Photo
    seconds: float
    tile_px: int
    """Largest side of the tiles, 0 when the photograph was restored in one piece or not at all."""
    change: float
    """Mean absolute difference to the input, as a share of full scale."""
    fallback_share: float
    """Share of the tiles that are the input's, because the network's output was not finite or was implausible."""
    strength: float
    generated_share: float = 0.0
    """Share of the tiles whose detail was generated."""
    shake: Shake | None = None
    """The camera shake that was solved; None where the network restored the photograph alone."""
    uncertainty: NDArray[np.float32] | None = None
    """(H, W): standard deviation of a pixel over restorations with other seeds, as a share of full scale. None where
    there was nothing to compare."""

    @property
    def hardly_changed(self) -> bool:
        """True if even full strength would change nothing visibly. False at strength 0, where no change is expected."""
        return self.strength > 0 and self.change / self.strength < HARDLY_CHANGED


def load(
    source: str | Path | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    pooling_window_px: int | None = None,
    *,
    fast: bool = False,
    shake: ShakeChoice = "auto",
    shake_fusion: Path = BUNDLED_SHAKE_FUSION,
    runtime: Runtime = "auto",
) -> "Restorer":
    """Load the restorer for a checkpoint.

    Args:
        source: A folder, "owner/name" on the Hugging Face hub, or None for the bundled checkpoint.
        device: Where to compute; "auto" uses an accelerator if there is one.
        precision: Precision of the networks.
        pooling_window_px: Reach of averages inside the network, 1.5 training patches by default (TLC's ratio); 0 lets
            them reach over the whole tile.
        fast: Whether to restore at half the size alone, in a fraction of the time; fine blur stays.
        shake: Whether camera shake is estimated and deconvolved (docs/explain/camera-shake.md). "auto" does so where
            the blur is long enough and the kernel certain enough, with the bundled checkpoint and without `fast`;
            "always" wherever a kernel is found, which may make a photograph worse.
        shake_fusion: Folder of another fusion network than the bundled one.
        runtime: Program that runs the network. "auto" is ONNX Runtime where it is installed and the processor has no
            fast bfloat16, else PyTorch (docs/guide/export.md).

    Raises:
        UnblurError: There is no such checkpoint or device, or the runtime is not installed or cannot run the network.
    """
    checkpoint = load_checkpoint(BUNDLED_RESTORER if source is None else source)
    if isinstance(checkpoint.config, GlowConfig):
        raise UnblurError(
            f"{checkpoint.folder} holds a generative network, which invents detail; add --mode generative (in Python, "
            "load_generative), or give another checkpoint."
        )
    if not isinstance(checkpoint.config, RestorerConfig):
        raise UnblurError(f"{checkpoint.folder} holds a network that does not restore; give another checkpoint.")
    window_px = usual_window_px(checkpoint.train_patch_px) if pooling_window_px is None else pooling_window_px
    settings = RestorationSettings(
        pooling_window_px=window_px or None,
        precision=precision,
    )
    model = checkpoint.model
    if fast:
        # Half size is the only scale, so the NAFNet is enough.
        model = HalfResolution(model.nafnet if isinstance(model, MultiScale) else model)
    runs_on = choose_runtime_device(runtime, device)
    exported = load_runtime(runtime, checkpoint, model, settings.pooling_window_px, runs_on, precision, fast=fast)
    solver = None
    if shake == "always" or (shake == "auto" and source is None and not fast):
        solver = load_shake_solver(runs_on, fusion=shake_fusion, always=shake == "always")
    return Restorer(
        model,
        settings,
        device=str(runs_on),
        checkpoint_sha256=checkpoint.sha256,
        shake_solver=solver,
        runtime=exported,
    )


class Restorer:
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

    @property
    def network(self) -> nn.Module:
        """The network, (B, 3, H, W) in [0, 1] -> same, with the pooling window of the settings."""
        network: nn.Module = self._model
        return network

    @overload
    def restore(
        self, picture: str | Path, strength: float = ..., tile: Tile = ..., progress: Progress | None = ...
    ) -> Photo: ...

    @overload
    def restore(
        self, picture: Picture, strength: float = ..., tile: Tile = ..., progress: Progress | None = ...
    ) -> Picture: ...

    def restore(
        self,
        picture: Any,
        strength: float = 1.0,
        tile: Tile = "auto",
        progress: Progress | None = None,
    ) -> Any:
        """Return `picture` restored, as the same type; for a path, the Photo read from it.

        Pictures are paths, Photos, Pillow images, arrays (H, W) or (H, W, C), tensors (C, H, W) or
        (B, C, H, W); 8 or 16 bits, or floating point in [0, 1]. `strength` 0 returns equal pixels. Raises
        UnblurError for anything else, with a reason.
        """
        if isinstance(picture, (str, Path)):
            return self.restore_photo(read_photo(Path(picture)), strength, tile, progress).photo
        if isinstance(picture, Photo):
            return self.restore_photo(picture, strength, tile, progress).photo
        planes = extract_planes(picture)
        restored = []
        for index, (pixels, alpha) in enumerate(planes):
            part = scale_progress(progress, index, len(planes))
            result, _ = self._restore_pixels(pixels, alpha, strength, tile, part)
            restored.append(Planes(result.pixels, alpha))
        return rebuild_picture(picture, restored)

    def restore_photo(
        self,
        photo: Photo,
        strength: float = 1.0,
        tile: Tile = "auto",
        progress: Progress | None = None,
    ) -> Restoration:
        """Restore `photo`, with its metadata and alpha, and return it with the facts about its restoration.

        Errors are those of `restore`.
        """
        began = time.perf_counter()
        result, shake = self._restore_pixels(photo.pixels, photo.alpha, strength, tile, progress)
        return Restoration(
            photo=photo.with_pixels(result.pixels),
            seconds=time.perf_counter() - began,
            tile_px=result.tile_px,
            change=mean_change(photo.pixels, result.pixels),
            fallback_share=result.fallback_share,
            strength=strength,
            shake=shake,
        )

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
            estimating, progress = split_progress(progress, SHARE_OF_ESTIMATING)
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

    def _restore_window(self, solved: SolvedShake | None, window: Window, _: Progress | None) -> WindowResult:
        values = to_float(window.pixels)
        blurry = to_tensor(values, self.device)
        bfloat16 = self.uses_bfloat16(window.pixels.dtype)
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=bfloat16):
            restored = self._run(blurry, bfloat16=bfloat16)
            if not is_sane(restored, blurry):
                return WindowResult(values, "unchanged")
            if solved is not None:
                restored = solved.fuse(blurry, restored, window.left_px, window.top_px)
            return WindowResult(to_array(to_channels(restored, values.shape[2])), "restored")

    def uses_bfloat16(self, dtype: np.dtype[Any]) -> bool:
        """Return whether photographs of this dtype are restored in bfloat16 instead of float32."""
        return uses_bfloat16(self.settings.precision, self.device, dtype)


def unchanged(photo: Photo, strength: float) -> Restoration:
    """Return the restoration of a photograph that is left as it is."""
    return Restoration(photo=photo, seconds=0.0, tile_px=0, change=0.0, fallback_share=0.0, strength=strength)


def mean_change(before: NDArray[Any], after: NDArray[Any]) -> float:
    """Return the mean absolute difference of two (H, W, C), as a share of full scale."""
    # Row by row: a float copy of a large photograph would double the memory of the whole program.
    total = sum(float(np.abs(new - old.astype(np.float32)).sum()) for old, new in zip(before, after, strict=True))
    return total / before.size / full_scale(before.dtype)
