"""Reuse of freed memory, which training allocates again in the next step."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
"""Names of the settings in glibc's malloc.h."""


def keep_freed_memory() -> None:
    """Make glibc keep freed blocks instead of handing them back to Linux; elsewhere, do nothing.

    Every step allocates the same activations. Fresh pages for each of them, zeroed by the kernel, made up a fifth of
    the step's time on two cores (6000 page faults a step, and almost none with this).
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # Other C libraries, such as musl, have none.
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 * 2**20)  # The largest that glibc accepts.
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_TOP_PAD, 64 * 2**20)
