"""Restoration of a photograph tile by tile, in bounded memory, with any function that restores a tile.

The photograph is cut into overlapping tiles (see `tiles`), restored tile by tile, and blended in float32, one row of
tiles at a time, so that memory grows with the photograph's width and not with its area.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from unblur.errors import MemoryShortageError
from unblur.restoration.blend import apply_strength, check_strength
from unblur.restoration.memory import (
    DEFAULT_TILE_PX,
    compute_largest_tile_px,
    is_out_of_memory,
    release_cached_memory,
)
from unblur.restoration.tiles import GRID_PX, SMALLEST_TILE_PX, Span, check_tile_px, compute_spans

Tile = Literal["auto"] | int
"""Largest side of a tile in pixels; 0 is the whole photograph. Made smaller wherever memory is short."""

Progress = Callable[[float], None]
"""Callback that receives the share done, from above 0 to 1, after each tile at least."""


@dataclass(frozen=True)
class Window:
    """A tile's part of the photograph, and where it is."""

    pixels: NDArray[Any]
    """(h, w, C), as in the photograph."""
    top_px: int
    left_px: int
    """Multiples of GRID_PX."""


Kind = Literal["unchanged", "restored", "generated"]
"""Origin of a picture: the unchanged input, restored from it, or restored with generated detail."""


@dataclass(frozen=True)
class WindowResult:
    """The restoration of a window."""

    values: NDArray[np.float32]
    """(h, w, C + `extra_channels`): the image, about in [0, 1], then the extra channels. The receiver may change it."""
    kind: Kind


RestoreWindow = Callable[[Window, Progress | None], WindowResult]


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """The default tiling of a photograph."""

    overlap_px: int
    """Pixels that neighbouring tiles share."""
    feather_px: int
    """Pixels, in the middle of the overlap, over which one tile fades into the next."""
    bytes_per_px: int
    """Memory that a pixel of a tile takes while it is restored."""


@dataclass(frozen=True, kw_only=True)
class TiledPixels:
    """A restored picture and how it came about."""

    pixels: NDArray[Any]
    """(H, W, C), in the dtype of the input."""
    extras: NDArray[np.float32]
    """(H, W, `extra_channels`): the extra channels of the windows, blended like the image; 0 where it is unchanged."""
    tile_px: int
    """Largest side of the tiles, 0 when there was one or none."""
    fallback_share: float = 0.0
    generated_share: float = 0.0
    """Shares of the tiles that are of these kinds."""
    first: NDArray[Any] | None = None
    """(H, W, C), in the dtype of the input: the restoration without generated detail; None where it is not returned."""


def restore_in_tiles(
    pixels: NDArray[Any],
    alpha: NDArray[Any] | None,
    restore_window: RestoreWindow,
    *,
    strength: float,
    tile: Tile,
    tiling: Tiling,
    device: torch.device,
    extra_channels: int = 0,
    progress: Progress | None = None,
) -> TiledPixels:
    """Restore (H, W, C) -> same, with `extra_channels` more channels; smaller tiles are tried while memory runs out.

    Raises UnblurError for a strength or tile out of range, and when there is no memory for the smallest tiles.
    """
    check_strength(strength)
    if tile != "auto":
        check_tile_px(tile)
    height, width = pixels.shape[:2]
    if strength == 0:
        return TiledPixels(
            pixels=pixels.copy(), extras=np.zeros((height, width, extra_channels), np.float32), tile_px=0
        )
    tile_px = _choose_tile_px(tile, height, width, compute_largest_tile_px(device, tiling.bytes_per_px))
    while True:
        try:
            result = _restore(pixels, restore_window, strength, tile_px, tiling, extra_channels, progress)
            break
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if tile_px <= SMALLEST_TILE_PX:
                raise MemoryShortageError(
                    f"There is not enough memory, not even for tiles of {tile_px} px; "
                    "close other programs or use another device."
                ) from error
        release_cached_memory(device)
        tile_px = max(SMALLEST_TILE_PX, tile_px // 2 // GRID_PX * GRID_PX)
    if alpha is not None:
        # Fully transparent pixels may hold anything, and programs expect it back.
        hidden = alpha.reshape(alpha.shape[:2]) == 0
        result.pixels[hidden] = pixels[hidden]
        result.extras[hidden] = 0
    return result


def scale_progress(progress: Progress | None, index: int, count: int) -> Progress | None:
    """Return the progress callback of part `index` of `count` equal parts."""
    return progress and (lambda share: progress((index + share) / count))


def split_progress(progress: Progress | None, shares: Sequence[float]) -> list[Progress | None]:
    """Return the progress callbacks of parts that take these shares of the time, whose sum is 1."""
    starts = [sum(shares[:part]) for part in range(len(shares))]
    return [progress and partial(_report_part, progress, *part) for part in zip(starts, shares, strict=True)]


def _report_part(progress: Progress, start: float, share: float, done: float) -> None:
    progress(start + share * done)


def _choose_tile_px(tile: Tile, height: int, width: int, largest_px: int) -> int:
    longest = max(height, width)
    tile_px = min(longest, DEFAULT_TILE_PX if tile == "auto" else tile or longest)
    return tile_px if min(tile_px, height) * min(tile_px, width) <= largest_px**2 else largest_px


def _restore(
    pixels: NDArray[Any],
    restore_window: RestoreWindow,
    strength: float,
    tile_px: int,
    tiling: Tiling,
    extra_channels: int,
    progress: Progress | None,
) -> TiledPixels:
    height, width, channels = pixels.shape
    rows, columns = (
        compute_spans(length, tile_px=tile_px, overlap_px=tiling.overlap_px, feather_px=tiling.feather_px)
        for length in (height, width)
    )
    count = len(rows) * len(columns)
    result, known = np.empty_like(pixels), np.zeros((height, width, extra_channels), np.float32)
    kinds: Counter[Kind] = Counter()
    blended_below: NDArray[np.float32] | None = None
    for row_index, row in enumerate(rows):
        band = np.zeros((row.stop_px - row.start_px, width, channels + extra_channels), np.float32)
        if blended_below is not None:
            band[: len(blended_below)] = blended_below
        for column_index, column in enumerate(columns):
            done = row_index * len(columns) + column_index
            window_result = restore_window(_cut_window(pixels, row, column), scale_progress(progress, done, count))
            kinds[window_result.kind] += 1
            restored = window_result.values
            restored *= column.weights[:, None]
            restored *= row.weights[:, None, None]
            band[:, column.start_px : column.stop_px] += restored
            if progress:
                progress((done + 1) / count)
        # Rows above the next row of windows are final; those it shares are carried over.
        stop_px = rows[row_index + 1].start_px if row_index + 1 < len(rows) else height
        final = slice(row.start_px, stop_px)
        finished = band[: stop_px - row.start_px]
        result[final] = apply_strength(pixels[final], finished[..., :channels], strength)
        known[final] = finished[..., channels:]
        blended_below = band[stop_px - row.start_px :]
    return TiledPixels(
        pixels=result,
        extras=known,
        tile_px=tile_px if count > 1 else 0,
        fallback_share=kinds["unchanged"] / count,
        generated_share=kinds["generated"] / count,
    )


def _cut_window(pixels: NDArray[Any], row: Span, column: Span) -> Window:
    inside = pixels[row.start_px : row.stop_px, column.start_px : column.stop_px]
    return Window(inside, top_px=row.start_px, left_px=column.start_px)
