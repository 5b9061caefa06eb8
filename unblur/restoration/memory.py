"""Finds the size of tiles that fits the memory, and recognises errors of exhausted memory."""

import math

import torch

from unblur.memory import free_memory
from unblur.restoration.tiles import GRID_PX, SMALLEST_TILE_PX

DEFAULT_TILE_PX = 1024
"""The default where memory allows, so that the same photograph gives the same result everywhere."""


def largest_tile_px(device: torch.device, bytes_per_px: int) -> int:
    """Side of the largest square tile that half of the memory now free on `device` can hold."""
    # Apple's and Intel's accelerators mostly share the machine's memory, and none reports its own well.
    free_bytes = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
    side_px = math.isqrt(free_bytes // 2 // bytes_per_px)
    return max(SMALLEST_TILE_PX, side_px // GRID_PX * GRID_PX)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out; PyTorch has no one exception for it on every device."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(
        sign in text for sign in ("out of memory", "not enough memory", "can't allocate memory")
    )


def release_cached_memory(device: torch.device) -> None:
    """Hand back what the allocator of an accelerator keeps for later; a CPU keeps nothing."""
    if device.type != "cpu":
        getattr(torch, device.type).empty_cache()
