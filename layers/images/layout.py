"""How images lie in memory: with the batch innermost.

Images have shape (N, C, H, W), but they are transposed views of arrays (C, H, W, N), an order that
NumPy's elementwise operations preserve. So the same pixel of all images, and a whole row of them,
is one long run for copies, sums and matrix products, whatever the window; in the usual order a
window of 3 pixels would be runs of 3.
"""

from __future__ import annotations

import numpy as np

from ..base import Array
from ..checks import Pair


def batch_last(x: Array) -> Array:
    """Return images with the batch innermost in memory, copied only if needed.

    Arrays that are not of shape (N, C, H, W) are returned as they are.
    """
    if x.ndim != 4:
        return x
    return np.ascontiguousarray(x.transpose(1, 2, 3, 0), like=x).transpose(3, 0, 1, 2)


def empty_images(n: int, channels: int, size: Pair, like: Array) -> Array:
    """Return new images of shape (n, channels, *size), of the dtype and kind of `like`."""
    return np.empty((channels, *size, n), like.dtype, like=like).transpose(3, 0, 1, 2)


def full_images(shape: tuple[int, ...], value: float, like: Array) -> Array:
    """Return new images of shape (N, C, H, W), all of one value, with the batch innermost."""
    n, channels, *size = shape
    out = empty_images(n, channels, (size[0], size[1]), like)
    out.fill(value)
    return out
