"""float16: what sums many numbers does so in float32, and rounds the result."""

from __future__ import annotations

from typing import Any

import numpy as np

from .device import Array


def wide(x: Array) -> Array:
    """Return float16 as float32, which has the range and the digits for sums; others as they are.

    In float16 a sum of ones stops at 2048, and the square of 256 is infinite.
    """
    return x.astype(np.float32) if x.dtype.char == "e" else x


def total(x: Array, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """``x.sum(axis)`` in the dtype of x, with float16 added up in float32."""
    if x.dtype.char != "e":
        return x.sum(axis, keepdims=keepdims)
    return x.sum(axis=axis, keepdims=keepdims, dtype=np.float32).astype(np.float16)
