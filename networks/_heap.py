"""Keep freed memory for the next arrays instead of giving it back to the system each time."""

from __future__ import annotations

import numpy as np

_LARGEST = 31 << 20  # bytes; glibc learns from blocks of less than 32 MiB


def keep_freed_memory() -> None:
    """Free one large block, from which glibc learns to keep blocks up to that size.

    At first it returns each array of more than 128 KiB to the system as soon as it is freed, so
    that every step of a training asks for the same pages again; for a small net that took longer
    than the step itself. The block is never touched, so it costs no memory. On other systems
    nothing happens. See M_MMAP_THRESHOLD in https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    np.empty(_LARGEST, np.uint8)
