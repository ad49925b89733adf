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


def keep_freed_memory() -> bool:
    """Let this process reuse freed blocks of up to 1 GB; False where that is not possible.

    Does nothing on other systems than Linux with glibc, or if the environment sets glibc's thresholds.
    """
    chosen = any(name.startswith("MALLOC_") and name.endswith("THRESHOLD_") for name in os.environ)
    if not sys.platform.startswith("linux") or chosen:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    done = [mallopt(threshold, KEPT_BYTES) for threshold in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD)]
    return all(done)
