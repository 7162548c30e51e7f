"""Correlation of images with a kernel: patches copied block by block, one matrix product each.

The batch lies innermost in memory: images keep their shape (N, C, H, W), but as a view of an array
(C, H, W, N), which NumPy's elementwise operations preserve. So each row of pixels is one long run
for copies, sums and matrix products, whatever the size of the window.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import gcd
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .base import Array

Pair = tuple[int, int]

_BLOCK = 1 << 20  # bytes of patches at a time: they should stay in the processor's cache
_RUN = 256  # fewest columns for an efficient matrix product


def batch_last(x: Array) -> Array:
    """Return images (N, C, H, W) with the batch innermost in memory, copied only if needed."""
    return np.ascontiguousarray(x.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)


def empty_images(shape: tuple[int, int, int, int], dtype: np.dtype) -> Array:
    """Return new images of shape (N, C, H, W) with the batch innermost in memory."""
    n, *chw = shape
    return np.empty((*chw, n), dtype).transpose(3, 0, 1, 2)


class Window(NamedTuple):
    """How a kernel moves over an image: tap (i, j) of output (h, w) reads row h s - p + i d."""

    size: Pair
    stride: Pair = (1, 1)
    pad: Pair = (0, 0)
    dilation: Pair = (1, 1)

    def taps(self, shape: Pair, out: Pair) -> Iterator[tuple[slice, slice, slice, slice]]:
        """Yield for each tap, row by row, which outputs see the image there, and which pixels."""
        for i, j in product(*map(range, self.size)):
            rows, x_rows = _seen(
                i * self.dilation[0] - self.pad[0], self.stride[0], out[0], shape[0]
            )
            cols, x_cols = _seen(
                j * self.dilation[1] - self.pad[1], self.stride[1], out[1], shape[1]
            )
            yield rows, cols, x_rows, x_cols


def correlate(x: Array, W: Array, b: Array | None, window: Window, out: Array) -> None:
    """``out[n, f, h, w] = b[f] + sum of W[f, c, i, j] x[n, c, h s - p + i d, w s - p + j d]``."""
    rows = W.transpose(0, 2, 3, 1).reshape(len(W), -1)
    for patches, part in _blocks(x, window, out):
        value = (rows @ patches).reshape(part.shape)
        if b is None:
            part[...] = value
        else:
            np.add(value, b[:, None, None], out=part)


def correlate_weights(x: Array, dout: Array, window: Window) -> Array:
    """Return ``dW[f, c, i, j] = sum of dout[n, f, h, w] x[n, c, h s - p + i d, w s - p + j d]``."""
    F, C = dout.shape[1], x.shape[1]
    rows = np.zeros((window.size[0] * window.size[1] * C, F), x.dtype)
    for patches, part in _blocks(x, window, dout):
        h, _, w, n = part.shape
        rows += (patches @ part.reshape(h, F, w * n).transpose(0, 2, 1)).sum(axis=0)
    return rows.reshape(*window.size, C, F).transpose(3, 2, 0, 1)


def correlate_input(dout: Array, W: Array, window: Window, dx: Array) -> None:
    """Write to `dx` what `correlate` maps to `dout`, transposed: its gradient of x.

    Pixels that lie a stride apart meet the same taps of the kernel. For each such set, dx is the
    correlation of dout with those taps, turned around.
    """
    for a, b in product(*map(range, window.stride)):
        part = dx[:, :, a :: window.stride[0], b :: window.stride[1]]
        rows, row_pad, row_dilation = _turned(a, 0, window)
        cols, col_pad, col_dilation = _turned(b, 1, window)
        kernel = W[:, :, rows, cols].transpose(1, 0, 2, 3)
        if kernel.size == 0:
            part[...] = 0
        else:
            turned = Window(
                kernel.shape[2:], (1, 1), (row_pad, col_pad), (row_dilation, col_dilation)
            )
            correlate(dout, kernel, None, turned, part)


def _turned(first: int, axis: int, window: Window) -> tuple[slice, int, int]:
    """Return the taps that pixels ``first, first + s, ...`` meet, last first, pad and dilation."""
    size, s, p, d = (pair[axis] for pair in window)
    step = s // gcd(s, d)
    taps = [i for i in range(size) if (first + p - i * d) % s == 0]
    if not taps:
        return slice(0), 0, 1
    stop = taps[0] - step
    return (
        slice(taps[-1], stop if stop >= 0 else None, -step),
        -((first + p - taps[-1] * d) // s),
        step * d // s,
    )


def _blocks(x: Array, window: Window, out: Array) -> Iterator[tuple[Array, Array]]:
    """Yield blocks of patches of `x`, (rows, taps * C, columns * N), and their place in `out`.

    The place has shape (rows, F, columns, N). The patches are overwritten by the next block's.
    """
    x, out = x.transpose(2, 1, 3, 0), out.transpose(2, 1, 3, 0)
    (H, C, W, N), (out_h, _, out_w, _) = x.shape, out.shape
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = window
    shared = dh == 1 and sh < kh  # neighbours share rows, so each is copied once
    taps = 1 if shared else kh
    hop = sh if shared else kh

    def height(rows: int) -> int:
        return (rows - 1) * hop + kh

    line = kw * C * N * x.itemsize
    cols = min(out_w, max(-(-_RUN // N), _BLOCK // (line * height(out_h))))
    rows = min(out_h, max(1, (_BLOCK // (line * cols) - kh) // hop + 1))
    buffer = np.empty(height(rows) * kw * C * cols * N, x.dtype)
    for w in range(0, out_w, cols):
        for h in range(0, out_h, rows):
            part = out[h : h + rows, :, w : w + cols]
            m, n = part.shape[0], part.shape[2]
            lines = buffer[: height(m) * kw * C * n * N].reshape(-1, taps, kw, C, n, N)
            for i in range(taps):
                seen, x_rows = _seen(h * sh - ph + i * dh, 1 if shared else sh, len(lines), H)
                lines[: seen.start, i] = lines[seen.stop :, i] = 0
                for j in range(kw):
                    line = lines[seen, i, j]
                    seen_w, x_cols = _seen(w * sw - pw + j * dw, sw, n, W)
                    line[:, :, : seen_w.start] = line[:, :, seen_w.stop :] = 0
                    line[:, :, seen_w] = x[x_rows, :, x_cols]
            shape = m, kh * kw * C, n * N
            step = buffer.itemsize * n * N
            yield as_strided(lines, shape, (hop * kw * C * step, step, buffer.itemsize)), part


def _seen(first: int, step: int, count: int, size: int) -> tuple[slice, slice]:
    """Return which of ``first, first + step, ...`` lie in ``range(size)``, and where."""
    start = min(count, max(0, -(first // step)))
    stop = max(start, min(count, -((first - size) // step)))
    at = first + start * step
    return slice(start, stop), slice(at, at + (stop - start) * step, step)
