"""glibc's allocator, told to keep what it has.

It gives blocks above 128 KB back to the kernel as soon as they are freed, and every operation on a large
tensor then pays for fresh, zeroed pages: most of the time of a SAM on a CPU.
"""

from __future__ import annotations

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 1 << 30
USUAL_BYTES = 1 << 25


def keep_freed_memory() -> bool:
    """Let this process reuse freed blocks of up to 1 GB; False where that is not possible.

    Does nothing on other systems than Linux with glibc, or if the environment sets glibc's thresholds.
    """
    return _set_thresholds(KEPT_BYTES, KEPT_BYTES)


def give_back_freed_memory() -> bool:
    """Put the thresholds where glibc's own adaptation takes them in a program with large blocks."""
    return _set_thresholds(USUAL_BYTES, 2 * USUAL_BYTES)


def trim() -> None:
    """Hand memory that is free now back to the kernel: after work that took more than the rest will."""
    release = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if release is not None:
        release(0)


def _set_thresholds(mmap: int, trim: int) -> bool:
    chosen = any(name.startswith("MALLOC_") and name.endswith("THRESHOLD_") for name in os.environ)
    if not sys.platform.startswith("linux") or chosen:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    done = mallopt(M_MMAP_THRESHOLD, mmap), mallopt(M_TRIM_THRESHOLD, trim)
    return all(done)
