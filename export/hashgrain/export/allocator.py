"""Keep freed memory in the process while a network trains on the CPU.

glibc gives every large block back to the kernel as soon as it is freed. A training step allocates the same gigabyte of
activations as the one before, so it would fault in all of its pages anew, with all threads waiting for the kernel.
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # <malloc.h>


def keep_freed_memory() -> bool:
    """Tell glibc's allocator not to give memory back; returns whether there is one that takes the advice."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, -1))
