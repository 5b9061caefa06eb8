"""A network applied to a photograph of any size and kind, in bounded memory.

The photograph is cut into overlapping tiles (see `tiles`), restored tile by tile, and blended in float32, one
row of tiles at a time, so that memory grows with the photograph's width and not with its area. Networks that
average over all they see would give each tile a result of its own; `pooling_window_px` limits such averages
to a sliding window, which is the same inside a tile as inside the whole photograph except within half a
window of an edge that is not the photograph's.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from unblur.checkpoints.folder import BUNDLED_RESTORER, load_checkpoint
from unblur.errors import UnblurError
from unblur.models import RestorerConfig
from unblur.models.pooling import use_local_pooling
from unblur.photos.files import read_photo
from unblur.photos.photo import Photo
from unblur.restoration.blend import blend, check_strength, full_scale
from unblur.restoration.device import Precision, choose_device, has_fast_bfloat16
from unblur.restoration.memory import (
    DEFAULT_TILE_PX,
    is_out_of_memory,
    largest_tile_px,
    release_cached_memory,
)
from unblur.restoration.pictures import Planes, picture_like, planes_of
from unblur.restoration.tiles import GRID_PX, SMALLEST_TILE_PX, check_tile_px, spans

Tile = Literal["auto"] | int
"""Largest side of a tile in pixels; 0 is the whole photograph. Made smaller wherever memory is short."""

Progress = Callable[[float], None]
"""Called with the share done, from above 0 to 1, after each tile."""

Picture = TypeVar("Picture")

LARGEST_MEAN_SHIFT = 0.25
"""Of full scale. Restoration moves light around; a tile whose mean colour moves further is garbage."""

HARDLY_CHANGED = 0.3 / 255
"""Mean absolute change, as a share of full scale, below which nobody sees a difference."""


@dataclass(frozen=True, kw_only=True)
class RestorationSettings:
    """What a restoration depends on besides the network and the photograph."""

    pooling_window_px: int | None = None
    """Reach of averages inside the network; None averages over the tile."""
    overlap_px: int = 64
    """Pixels that neighbouring tiles share."""
    feather_px: int = 32
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
    kept_share: float
    """Share of the tiles that are the input's, because the network's answer was not finite or was garbage."""
    strength: float

    @property
    def hardly_changed(self) -> bool:
        """Whether even full strength would be invisible. False at strength 0, which asks for no change."""
        return self.strength > 0 and self.change / self.strength < HARDLY_CHANGED


def load(
    source: str | Path | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    pooling_window_px: int | None = None,
) -> "Restorer":
    """The restorer for a checkpoint: a folder, "owner/name" on the Hugging Face hub, or None for the bundled.

    Averages inside the network reach 1.5 training patches (TLC's ratio) unless a window is given; 0 lets them
    reach over the whole tile. Raises UnblurError when there is no such checkpoint or device.
    """
    checkpoint = load_checkpoint(BUNDLED_RESTORER if source is None else source)
    if not isinstance(checkpoint.config, RestorerConfig):
        raise UnblurError(f"{checkpoint.folder} holds a network that does not restore; give another checkpoint.")
    window_px = 3 * checkpoint.train_patch_px // 2 if pooling_window_px is None else pooling_window_px
    settings = RestorationSettings(
        pooling_window_px=window_px or None,
        precision=precision,
    )
    return Restorer(checkpoint.model, settings, device=device, checkpoint_sha256=checkpoint.sha256)


class Restorer:
    """Restores photographs with one network. Nothing changes after construction: threads may share it."""

    def __init__(
        self,
        model: nn.Module,
        settings: RestorationSettings | None = None,
        *,
        device: str = "auto",
        checkpoint_sha256: str | None = None,
    ) -> None:
        """Takes over `model`, (B, 3, H, W) in [0, 1] -> same: moves it to `device` and sets its pooling."""
        self.settings = settings or RestorationSettings()
        self.device = choose_device(device)
        self.checkpoint_sha256 = checkpoint_sha256
        self._model = model.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        use_local_pooling(self._model, self.settings.pooling_window_px)

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
        """The same kind of thing as `picture`, restored; for a path, the Photo read from it.

        Pictures are paths, Photos, Pillow images, arrays (H, W) or (H, W, C), tensors (C, H, W) or
        (B, C, H, W); 8 or 16 bits, or floating point in [0, 1]. `strength` 0 returns equal pixels. Raises
        UnblurError for anything else, with a reason.
        """
        if isinstance(picture, (str, Path)):
            return self.restore_photo(read_photo(Path(picture)), strength, tile, progress).photo
        if isinstance(picture, Photo):
            return self.restore_photo(picture, strength, tile, progress).photo
        planes = planes_of(picture)
        restored = []
        for index, (pixels, alpha) in enumerate(planes):
            part = _part_of(progress, index, len(planes))
            result, _ = self._restore_pixels(pixels, alpha, strength, tile, part)
            restored.append(Planes(result, alpha))
        return picture_like(picture, restored)

    def restore_photo(
        self,
        photo: Photo,
        strength: float = 1.0,
        tile: Tile = "auto",
        progress: Progress | None = None,
    ) -> Restoration:
        """`photo` restored, with its metadata and alpha, and the facts about it. Errors as in `restore`."""
        began = time.perf_counter()
        pixels, run = self._restore_pixels(photo.pixels, photo.alpha, strength, tile, progress)
        return Restoration(
            photo=photo.with_pixels(pixels),
            seconds=time.perf_counter() - began,
            tile_px=run.tile_px,
            change=mean_change(photo.pixels, pixels),
            kept_share=run.kept_share,
            strength=strength,
        )

    def _restore_pixels(
        self,
        pixels: NDArray[Any],
        alpha: NDArray[Any] | None,
        strength: float,
        tile: Tile,
        progress: Progress | None,
    ) -> tuple[NDArray[Any], "_Run"]:
        """(H, W, C) -> same. Retries with ever smaller tiles while memory runs out."""
        check_strength(strength)
        if tile != "auto":
            check_tile_px(tile)
        if strength == 0:
            return pixels.copy(), _Run(tile_px=0, kept_share=0)
        tile_px = self._tile_px(tile, *pixels.shape[:2])
        while True:
            try:
                result, run = self._restore_tiles(pixels, strength, tile_px, progress)
                break
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if tile_px <= SMALLEST_TILE_PX:
                    raise UnblurError(
                        f"There is not enough memory, not even for tiles of {tile_px} px; "
                        "close other programs or use another device."
                    ) from error
            release_cached_memory(self.device)
            tile_px = max(SMALLEST_TILE_PX, tile_px // 2 // GRID_PX * GRID_PX)
        if alpha is not None:
            # What nobody can see is not a photograph: programs leave anything there, and expect it back.
            hidden = alpha.reshape(alpha.shape[:2]) == 0
            result[hidden] = pixels[hidden]
        return result, run

    def _tile_px(self, tile: Tile, height: int, width: int) -> int:
        longest = max(height, width)
        tile_px = min(longest, DEFAULT_TILE_PX if tile == "auto" else tile or longest)
        largest_px = largest_tile_px(self.device)
        return tile_px if min(tile_px, height) * min(tile_px, width) <= largest_px**2 else largest_px

    def _restore_tiles(
        self, pixels: NDArray[Any], strength: float, tile_px: int, progress: Progress | None
    ) -> tuple[NDArray[Any], "_Run"]:
        height, width, channels = pixels.shape
        overlap_px, feather_px = self.settings.overlap_px, self.settings.feather_px
        rows, columns = (
            spans(length, tile_px=tile_px, overlap_px=overlap_px, feather_px=feather_px) for length in (height, width)
        )
        result = np.empty_like(pixels)
        kept = 0
        blended_below: NDArray[np.float32] | None = None
        for row_index, row in enumerate(rows):
            band = np.zeros((row.stop_px - row.start_px, width, channels), np.float32)
            if blended_below is not None:
                band[: len(blended_below)] = blended_below
            for column_index, column in enumerate(columns):
                window = pixels[row.start_px : row.stop_px, column.start_px : column.stop_px]
                restored, sane = self._restore_window(window)
                kept += not sane
                restored *= column.weights[:, None]
                restored *= row.weights[:, None, None]
                band[:, column.start_px : column.stop_px] += restored
                if progress:
                    progress((row_index * len(columns) + column_index + 1) / (len(rows) * len(columns)))
            # Rows above the next row of windows are final; those it shares are carried over.
            stop_px = rows[row_index + 1].start_px if row_index + 1 < len(rows) else height
            final = slice(row.start_px, stop_px)
            result[final] = blend(pixels[final], band[: stop_px - row.start_px], strength)
            blended_below = band[stop_px - row.start_px :]
        count = len(rows) * len(columns)
        return result, _Run(tile_px=tile_px if count > 1 else 0, kept_share=kept / count)

    def _restore_window(self, window: NDArray[Any]) -> tuple[NDArray[np.float32], bool]:
        """(h, w, C) -> the same in float32 in [0, 1], and whether the network's answer could be used."""
        values = window.astype(np.float32)
        values /= full_scale(window.dtype)
        blurry = torch.from_numpy(values).to(self.device).permute(2, 0, 1)[None]
        blurry = blurry.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.uses_bfloat16(window.dtype)),
        ):
            restored = self._model(blurry).float()
            shift = (restored - blurry).mean(dim=(2, 3)).abs().max()
            # Comparisons with NaN are false, and one infinite or undefined value spoils the mean.
            if not bool(shift <= LARGEST_MEAN_SHIFT):
                return values, False
            if window.shape[2] == 1:
                restored = restored.mean(dim=1, keepdim=True)
            return restored[0].permute(1, 2, 0).cpu().numpy(), True

    def uses_bfloat16(self, dtype: np.dtype[Any]) -> bool:
        """Whether photographs of this type are restored in bfloat16, and not in float32."""
        if self.settings.precision == "auto":
            return dtype == np.uint8 and has_fast_bfloat16(self.device)
        return self.settings.precision == "bfloat16"


@dataclass(frozen=True, kw_only=True)
class _Run:
    tile_px: int
    kept_share: float


def mean_change(before: NDArray[Any], after: NDArray[Any]) -> float:
    """Mean absolute difference of two (H, W, C), as a share of full scale."""
    # Row by row: a float copy of a large photograph would double the memory of the whole program.
    total = sum(float(np.abs(new - old.astype(np.float32)).sum()) for old, new in zip(before, after, strict=True))
    return total / before.size / full_scale(before.dtype)


def _part_of(progress: Progress | None, index: int, count: int) -> Progress | None:
    return progress and (lambda share: progress((index + share) / count))
