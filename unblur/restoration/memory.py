"""The size of tiles that fits the memory, and errors of exhausted memory."""

import math

import torch

from unblur.memory import free_memory
from unblur.restoration.tiles import GRID_PX, SMALLEST_TILE_PX

DEFAULT_TILE_PX = 1024
"""Default size where memory allows, so that the same photograph gives the same result everywhere."""


def compute_largest_tile_px(device: torch.device, bytes_per_px: int) -> int:
    """Return the side of the largest square tile that half of the memory now free on `device` can hold."""
    # Apple's and Intel's accelerators mostly share the machine's memory, and do not report their own reliably.
    free_bytes = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
    side_px = math.isqrt(free_bytes // 2 // bytes_per_px)
    return max(SMALLEST_TILE_PX, side_px // GRID_PX * GRID_PX)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` is one of exhausted memory; PyTorch has no single exception for it."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        sign in text for sign in ("out of memory", "not enough memory", "can't allocate memory")
    )


def release_cached_memory(device: torch.device) -> None:
    """Release the memory that the allocator of an accelerator has cached; a CPU has no such cache."""
    if device.type != "cpu":
        getattr(torch, device.type).empty_cache()
