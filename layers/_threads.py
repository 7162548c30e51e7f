"""Work shared among threads, each with a single-threaded BLAS.

A matrix product is shared best by the threads of the BLAS itself. Where copies surround many small
products, it pays to share the whole loop instead; NumPy lets go of the interpreter meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")

_FEW = 1 << 21  # done before another thread has woken up
_busy = Lock()


def share(work: Callable[[range], T], n: int, operations: int) -> list[T]:
    """Return ``work(part)`` for consecutive parts of ``range(n)``, as many as BLAS has threads.

    Without threadpoolctl, while another thread shares its work, or where the operations are too
    few to be worth it, the only part is ``range(n)``.
    """
    blas = _blas() if operations > _FEW else None
    threads = min([n, *(library.num_threads for library in blas.lib_controllers)]) if blas else 1
    # BLAS has one thread count for the whole process: two callers would put back the wrong one.
    if blas is None or threads < 2 or not _busy.acquire(blocking=False):
        return [work(range(n))]
    try:
        ends = [n * i // threads for i in range(threads + 1)]
        parts = [range(start, end) for start, end in pairwise(ends)]
        with blas.limit(limits=1):
            others = [_pool().submit(work, part) for part in parts[1:]]
            return [work(parts[0]), *(other.result() for other in others)]
    finally:
        _busy.release()


@cache
def _blas() -> Any:
    """Return what counts and limits the threads of the loaded BLAS, or None."""
    try:
        threadpoolctl = import_module("threadpoolctl")
    except ImportError:
        return None
    blas = threadpoolctl.ThreadpoolController().select(user_api="blas")
    return blas if blas.lib_controllers else None


@cache
def _pool() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(os.cpu_count(), "chainrule")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork
