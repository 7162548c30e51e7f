"""Keep freed memory for the next arrays instead of returning it to the system each time."""

from __future__ import annotations

import numpy as np

_LARGEST = 31 << 20  # bytes; glibc adapts to blocks of less than 32 MiB


def keep_freed_memory() -> None:
    """Free one large block, after which glibc keeps freed blocks up to that size.

    Until a program has freed a large block, glibc returns each freed array of more than 128 KiB to
    the system, and every training step requests the same pages again: for a small net that takes as
    long as the step itself. The block is never touched, so it costs no memory. If large arrays were
    freed before, and on other systems, nothing changes. See M_MMAP_THRESHOLD in
    https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    np.empty(_LARGEST, np.uint8)
