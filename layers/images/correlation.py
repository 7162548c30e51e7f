"""Correlation of images with kernels: the textbook's im2col, block by block, and matrix products.

The pixels under a kernel at one place are a patch, and a column of the matrix `patches`; each row
of ``kernels @ patches`` is then what one kernel finds at all places. The whole matrix would be KH
KW times as large as the images, so only a block of it exists at a time. Since the batch lies
innermost in memory (see `layout`), a row of outputs of all images is one product: the columns of
its patches are w and n, the rows are the taps (i, j) of the kernel and the channels c.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..base import Array
from ..checks import Pair
from ..half import wide
from .layout import empty_images
from .window import Window, overlap

_BLOCK = 1 << 22  # bytes of patches at a time, so that they stay in the processor's cache
_COLUMNS = 512  # of a product: with fewer BLAS is slow


def correlate(
    x: Array, W: Array, b: Array | None, window: Window, size: Pair, groups: int
) -> Array:
    """``out[n, f, h, w] = b[f] + sum of W[f, c, i, j] x[n, c, h s + i d - p, w s + j d - p]``."""
    F, dtype = len(W), np.result_type(x, W)
    if dtype == np.float16:
        return correlate(wide(x), wide(W), b, window, size, groups).astype(dtype)
    x = x.astype(dtype, copy=False)
    out = empty_images(len(x), F, size, x)
    kernels = W.transpose(0, 2, 3, 1).reshape(groups, F // groups, -1)
    biases = (np.zeros(F, dtype, like=x) if b is None else b).reshape(groups, -1, 1)
    split = _split(groups, x, out)
    for kernel, bias, (images, outputs) in zip(kernels, biases, split, strict=True):
        for patches, place in _blocks(images, window, outputs):
            np.matmul(kernel, patches, out=place)
            if b is not None:
                place += bias
    return out


def correlate_weights(x: Array, dout: Array, window: Window, groups: int) -> Array:
    """``dW[f, c, i, j] = sum of dout[n, f, h, w] x[n, c, h s + i d - p, w s + j d - p]``."""
    dtype = np.result_type(x, dout)
    if dtype == np.float16:
        return correlate_weights(wide(x), wide(dout), window, groups).astype(dtype)
    x, dout = x.astype(dtype, copy=False), dout.astype(dtype, copy=False)
    (kh, kw), C, F = window.size, x.shape[1] // groups, dout.shape[1]
    kernels = np.zeros((groups, kh * kw * C, F // groups), dtype, like=x)
    for kernel, (images, outputs) in zip(kernels, _split(groups, x, dout), strict=True):
        for patches, place in _blocks(images, window, outputs):
            kernel += (patches @ place.transpose(0, 2, 1)).sum(axis=0)
    dW = kernels.reshape(groups, kh, kw, C, F // groups).transpose(0, 4, 3, 1, 2)
    return dW.reshape(F, C, kh, kw)


def correlate_input(dout: Array, W: Array, window: Window, size: Pair, groups: int) -> Array:
    """Return dx for images of `size`: what `correlate` without a bias does, transposed.

    Pixels that lie a stride apart meet the same taps of the kernel: with a stride of 2 and no
    padding, even rows the taps 0, 2, ..., odd rows the taps 1, 3, .... For each such phase, dx is
    the correlation of dout with those taps, flipped, with stride 1.
    """
    (sh, sw), (F, C, kh, kw) = window.stride, W.shape
    transposed = W.reshape(groups, F // groups, C, kh, kw).swapaxes(1, 2)
    kernel = transposed.reshape(groups * C, F // groups, kh, kw)
    dout = dout.astype(np.result_type(dout, W), copy=False)

    def phase(h: int, w: int) -> Any:
        (rows, dh, ph), (columns, dw, pw) = _taps(window, 0, h), _taps(window, 1, w)
        if not (rows and columns):
            return 0.0
        flipped = Window((len(rows), len(columns)), dilation=(dh, dw), before=(ph, pw))
        part = (size[0] - h + sh - 1) // sh, (size[1] - w + sw - 1) // sw
        return correlate(dout, kernel[:, :, rows][..., columns], None, flipped, part, groups)

    if (sh, sw) == (1, 1):
        return phase(0, 0)
    dx = empty_images(len(dout), groups * C, size, dout)
    for h, w in product(range(sh), range(sw)):
        dx[:, :, h::sh, w::sw] = phase(h, w)
    return dx


def _taps(window: Window, axis: int, first: int) -> tuple[list[int], int, int]:
    """Return the taps that pixels ``first, first + s, ...`` meet, and their dilation and padding.

    The taps come last first, as the pixels meet them along dout.
    """
    size, s, d, p, _ = (pair[axis] for pair in window)
    taps = [i for i in reversed(range(size)) if (i * d - p - first) % s == 0]
    if not taps:
        return taps, 1, 0
    dilation = (taps[0] - taps[1]) * d // s if len(taps) > 1 else 1
    return taps, dilation, (taps[0] * d - p - first) // s


def _split(groups: int, x: Array, y: Array) -> Iterator[tuple[Array, Array]]:
    """Yield the images of `x` and `y` with the channels of each group alone."""
    return zip(np.split(x, groups, axis=1), np.split(y, groups, axis=1), strict=True)


def _blocks(x: Array, window: Window, out: Array) -> Iterator[tuple[Array, Array]]:
    """Yield patches of `x`, (h, KH * KW * C, w * N), and their place in `out`, (h, F, w * N).

    The next block overwrites the patches. They consist of lines: a line is a row of pixels as the
    KW taps in a row of the kernel see it, (KW, C, w, N), and KH lines are the patches of one row of
    outputs. Those of the next row begin a stride further down; where KH is more than the stride,
    they share lines, and a view with overlapping strides serves instead of another copy.
    """
    if out.size == 0:
        return
    x, out = x.transpose(2, 1, 3, 0), out.transpose(2, 1, 3, 0)  # (H, C, W, N)
    C, N, height, width = x.shape[1], x.shape[3], out.shape[0], out.shape[2]
    (kh, kw), (sh, _), (dh, _), _, _ = window
    shared = dh == 1 and sh < kh
    hop = sh if shared else kh  # lines from one patch to the next
    pixel = kw * C * N * x.itemsize  # bytes of a line that is one pixel wide
    columns = _evenly(width, max(-(-_COLUMNS // N), _BLOCK // (2 * kh * pixel)))
    rows = _evenly(height, (_BLOCK // (pixel * columns) - kh) // hop + 1)
    buffer = np.empty((hop * (rows - 1) + kh) * kw * C * columns * N, x.dtype, like=x)
    for h, w in product(range(0, height, rows), range(0, width, columns)):
        place = out[h : h + rows, :, w : w + columns]
        m, F, n, _ = place.shape
        lines = buffer[: (hop * (m - 1) + kh) * kw * C * n * N].reshape(-1, kw, C, n, N)
        if shared:
            _copy(x, window, (h, w), 1, lines)
        else:
            for i in range(kh):
                _copy(x, window, (h, w), sh, lines[i::kh], i)
        line = kw * C * n * N
        runs = sliding_window_view(lines.reshape(-1), kh * line)[:: hop * line]
        yield runs.reshape(m, kh * kw * C, n * N), place.reshape(m, F, n * N)


def _copy(x: Array, window: Window, first: Pair, step: int, lines: Array, i: int = 0) -> None:
    """Fill `lines`, (lines, KW, C, w, N), with what the taps in row i of the kernel see.

    The first line is what they see from the output `first` on, to the right; each further line
    lies `step` rows of pixels below. Beyond the image they see zeros.
    """
    _, (sh, sw), (dh, dw), (ph, pw), _ = window
    height, kw, _, width, _ = lines.shape
    inside, rows = overlap(first[0] * sh + i * dh - ph, step, height, x.shape[0])
    lines[: inside.start] = lines[inside.stop :] = 0
    for j in range(kw):
        line = lines[inside, j]
        at, columns = overlap(first[1] * sw + j * dw - pw, sw, width, x.shape[2])
        line[:, :, : at.start] = line[:, :, at.stop :] = 0
        line[:, :, at] = x[rows, :, columns]


def _evenly(n: int, most: int) -> int:
    """Return the size of the fewest nearly equal parts of `n` that are not larger than `most`."""
    parts = -(-n // max(1, min(n, most)))
    return -(-n // parts)
