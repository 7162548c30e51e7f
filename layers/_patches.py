"""Correlation of images with a kernel: patches copied block by block, then a matrix product."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ._images import Pair, Window, empty_images, overlap
from ._threads import share
from .base import Array

_BLOCK = 1 << 20  # bytes of patches at a time, so that they stay in the processor's cache
_COLUMNS = 256  # fewer make a matrix product inefficient


def correlate(
    x: Array, W: Array, b: Array | None, window: Window, size: Pair, groups: int
) -> Array:
    """``out[n, f, h, w] = b[f] + sum of W[f, c, i, j] x[n, c, h s + i d - p, w s + j d - p]``."""
    F = len(W)
    out = empty_images(len(x), F, size, np.result_type(x, W))
    x = x.astype(out.dtype, copy=False)
    kernels = W.transpose(0, 2, 3, 1).reshape(groups, F // groups, -1)
    biases = (np.zeros(F, out.dtype) if b is None else b).reshape(groups, -1, 1)

    def work(part: range) -> None:
        images = zip(np.split(x, groups, axis=1), np.split(out, groups, axis=1), strict=True)
        for kernel, bias, (x_, out_) in zip(kernels, biases, images, strict=True):
            for patches, place in _blocks(x_, window, out_, part):
                np.matmul(kernel, patches, out=place)
                if b is not None:
                    place += bias

    share(work, size[0], out.size * W[0].size)
    return out


def correlate_weights(x: Array, dout: Array, window: Window, groups: int) -> Array:
    """``dW[f, c, i, j] = sum of dout[n, f, h, w] x[n, c, h s + i d - p, w s + j d - p]``."""
    dtype = np.result_type(x, dout)
    x, dout = x.astype(dtype, copy=False), dout.astype(dtype, copy=False)
    (kh, kw), C, F = window.size, x.shape[1] // groups, dout.shape[1]

    def work(part: range) -> Array:
        sums = np.zeros((groups, kh * kw * C, F // groups), dtype)
        images = zip(np.split(x, groups, axis=1), np.split(dout, groups, axis=1), strict=True)
        for dW, (x_, dout_) in zip(sums, images, strict=True):
            for patches, place in _blocks(x_, window, dout_, part):
                dW += (patches @ place.transpose(0, 2, 1)).sum(axis=0)
        return sums

    rows = np.sum(share(work, dout.shape[2], dout.size * kh * kw * C), axis=0)
    dW: Array = rows.reshape(groups, kh, kw, C, F // groups).transpose(0, 4, 3, 1, 2)
    return dW.reshape(F, C, kh, kw)


def correlate_input(dout: Array, W: Array, window: Window, size: Pair, groups: int) -> Array:
    """Return dx for images of `size`: what `correlate` without a bias does, transposed.

    Pixels that lie a stride apart meet the same taps of the kernel. For each such phase, dx is
    the correlation of dout with those taps, turned around.
    """
    (sh, sw), (F, C, kh, kw) = window.stride, W.shape
    transposed = W.reshape(groups, F // groups, C, kh, kw).swapaxes(1, 2)
    kernel = transposed.reshape(groups * C, F // groups, kh, kw)
    dx = empty_images(len(dout), groups * C, size, np.result_type(dout, W))
    for h, w in product(range(sh), range(sw)):
        (rows, dh, ph), (columns, dw, pw) = _phase(window, 0, h), _phase(window, 1, w)
        turned = Window((len(rows), len(columns)), dilation=(dh, dw), before=(ph, pw))
        pixels = dx[:, :, h::sh, w::sw]
        if rows and columns:
            taps = kernel[:, :, rows][..., columns]
            pixels[...] = correlate(dout, taps, None, turned, pixels.shape[2:], groups)
        else:
            pixels[...] = 0
    return dx


def _phase(window: Window, axis: int, first: int) -> tuple[list[int], int, int]:
    """Return the taps that pixels ``first, first + s, ...`` meet, and their dilation and padding.

    The taps come last first, as the pixels meet them along dout.
    """
    size, s, d, p, _ = (pair[axis] for pair in window)
    taps = [i for i in reversed(range(size)) if (i * d - p - first) % s == 0]
    if not taps:
        return taps, 1, 0
    dilation = (taps[0] - taps[1]) * d // s if len(taps) > 1 else 1
    return taps, dilation, (taps[0] * d - p - first) // s


def _blocks(x: Array, window: Window, out: Array, part: range) -> Iterator[tuple[Array, Array]]:
    """Yield patches of `x`, (h, taps * C, w * N), and their place in `out`, (h, F, w * N).

    A block is some columns wide and, if it fits, as high as the `part` of the rows of `out`. The
    next block overwrites its patches. What is copied are lines of pixels, shifted once for each
    tap of a row: patches above each other share them, where the stride allows.
    """
    x, out = x.transpose(2, 1, 3, 0), out.transpose(2, 1, 3, 0)
    if out.size == 0:
        return
    C, N, width = x.shape[1], x.shape[3], out.shape[2]
    (kh, kw), (sh, sw), (dh, dw), (ph, pw), _ = window
    if dh == 1 and sh < kh:
        taps, step, hop = 1, 1, sh
    else:
        taps, step, hop = kh, sh, kh
    pixels = kw * C * N * x.itemsize  # bytes of a line one pixel wide
    columns = _BLOCK // (pixels * (hop * (len(part) - 1) + kh))
    columns = min(width, max(-(-_COLUMNS // N), columns))
    rows = max(1, min(len(part), (_BLOCK // (pixels * columns) - kh) // hop + 1))
    buffer = np.empty((hop * (rows - 1) + kh) * kw * C * columns * N, x.dtype)
    for w, h in product(range(0, width, columns), part[::rows]):
        place = out[h : min(h + rows, part.stop), :, w : w + columns]
        m, F, n, _ = place.shape
        lines = buffer[: (hop * (m - 1) + kh) * kw * C * n * N].reshape(-1, taps, kw, C, n, N)
        for i in range(taps):
            inside, seen = overlap(h * sh + i * dh - ph, step, len(lines), len(x))
            lines[: inside.start, i] = lines[inside.stop :, i] = 0
            for j in range(kw):
                line = lines[inside, i, j]
                at, pixel = overlap(w * sw + j * dw - pw, sw, n, x.shape[2])
                line[:, :, : at.start] = line[:, :, at.stop :] = 0
                line[:, :, at] = x[seen, :, pixel]
        run = n * N * x.itemsize
        strides = hop * kw * C * run, run, x.itemsize
        patches = as_strided(lines, (m, kh * kw * C, n * N), strides)
        yield patches, place.reshape(m, F, n * N)
