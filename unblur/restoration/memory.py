"""How large a tile may be, and what it looks like when there was no room after all."""

import math
import re
from pathlib import Path

import psutil
import torch

from unblur.restoration.tiles import GRID_PX, SMALLEST_TILE_PX

DEFAULT_TILE_PX = 1024
"""Where memory allows, the same everywhere, so that the same photograph gives the same result everywhere."""

_MEMORY_FILES = (
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)
"""Limit, use and statistics of a control group of version 2 and of version 1 (cgroups(7))."""


def largest_tile_px(device: torch.device, bytes_per_px: int) -> int:
    """Side of the largest square tile that half of the memory now free on `device` can hold."""
    # Apple's and Intel's accelerators mostly share the machine's memory, and none reports its own well.
    free_bytes = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
    side_px = math.isqrt(free_bytes // 2 // bytes_per_px)
    return max(SMALLEST_TILE_PX, side_px // GRID_PX * GRID_PX)


def free_memory(control_groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that this process may still take: of the machine, and of the container that Linux keeps it in, if any."""
    free = [psutil.virtual_memory().available]
    for group in _MEMORY_FILES:
        try:
            limit, used, statistics = ((control_groups / file).read_text(encoding="ascii") for file in group)
        except (OSError, UnicodeDecodeError):
            continue  # Not Linux, or the other version of control groups.
        # Files read not long ago count as used, but give way.
        cached = re.search(r"^(?:total_)?inactive_file (\d+)$", statistics, re.MULTILINE)
        if limit.strip() != "max" and cached:
            free.append(int(limit) - int(used) + int(cached[1]))
    return max(0, min(free))


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
