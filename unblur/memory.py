"""The memory that this process may still take."""

import re
from pathlib import Path

import psutil

_MEMORY_FILES = (
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)
"""Limit, use and statistics of a control group of version 2 and of version 1 (cgroups(7))."""


def free_memory(control_groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes that this process may still allocate.

    The result is the smallest of the available memory of the machine, the rest of the limit of the Linux container, and
    the rest of the process's own limit of address space.
    """
    free = [psutil.virtual_memory().available]
    for group in _MEMORY_FILES:
        try:
            limit, used, statistics = ((control_groups / file).read_text(encoding="ascii") for file in group)
        except (OSError, UnicodeDecodeError):
            continue  # Not Linux, or the other version of control groups.
        # The cache of recently read files counts as used, but can be reclaimed.
        cached = re.search(r"^(?:total_)?inactive_file (\d+)$", statistics, re.MULTILINE)
        if limit.strip() != "max" and cached:
            free.append(int(limit) - int(used) + int(cached[1]))
    free += _read_free_address_space()
    return max(0, min(free))


def _read_free_address_space() -> list[int]:
    try:
        import resource
    except ImportError:
        return []  # Windows has no such limit.
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return [] if limit == resource.RLIM_INFINITY else [limit - psutil.Process().memory_info().vms]
