"""Pooling: the maximum or the mean of each window of an image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..base import Array, Layer
from ..checks import Pair, pair
from ..half import wide
from .layout import batch_last, full_images
from .window import Window


class _Pooling(Layer):
    """What `MaxPooling` and `AveragePooling` share: a window that moves over images."""

    def __init__(
        self, size: int | Pair, stride: int | Pair | None = None, pad: int | Pair = 0
    ) -> None:
        name = type(self).__name__
        size, pad = pair(name, "size", size, 1), pair(name, "pad", pad, 0)
        stride = pair(name, "stride", size if stride is None else stride, 1)
        if pad[0] >= size[0] or pad[1] >= size[1]:
            raise ValueError(
                f"{name}: pad is {pad}, expected less than the size {size}; height and width are "
                f"one pair, {name}((height, width), stride, pad)"
            )
        self.window = Window(size, stride, before=pad, after=pad)

    def expects(self, shape: tuple[int, ...]) -> str:
        if len(shape) != 4:
            return "(N, C, H, W)"
        fits = min(self.window.outputs(shape[2:])) >= 1
        return "" if fits else "(N, C, H, W) with images no smaller than the window"

    def _outputs(self, x: Array, value: float) -> Array:
        """Return outputs for the images `x` that all have this value."""
        return full_images((*x.shape[:2], *self.window.outputs(x.shape[2:])), value, x)

    def _taps(self, x: Array, y: Array) -> Iterator[tuple[Any, Any]]:
        return self.window.taps(x.shape[2:], y.shape[2:])

    def __repr__(self) -> str:
        size, stride, _, pad, _ = self.window
        text = f"{type(self).__name__}({size[0]}x{size[1]}"
        if stride != size:
            text += f", stride={stride[0]}x{stride[1]}"
        return text + (f", pad={pad[0]}x{pad[1]})" if pad != (0, 0) else ")")


class MaxPooling(_Pooling):
    """``y`` is the maximum of each window;  ``dx = dout`` there, else 0.

    Among equal maxima the first in row-major order gets the gradient. Padding is never the
    maximum. Where windows overlap, the gradients add up.

    Parameters
    ----------
    size : int or pair of int
        Size of the window (rows, columns).
    stride : int or pair of int, optional
        Steps (down, right) from one window to the next; by default the size: no overlap.
    pad : int or pair of int, default 0
        Pixels around the image (above and below, left and right), less than the size.

    Raises
    ------
    ValueError
        If an integer is out of range.

    Notes
    -----
    The input has shape (N, C, H, W), the output (N, C, OH, OW) with
    ``OH = (H + 2 pad - size) // stride + 1``. Kept for backward is which tap, a place in the
    window, has won: for windows of up to 255 pixels one byte for each output.
    """

    def forward(self, x: Any) -> Array:
        self.x = x = batch_last(self.as_input(x))
        y = self._outputs(x, -np.inf)
        self.winner = winner = np.zeros_like(y, np.min_scalar_type(math.prod(self.window.size)))
        for k, (out, pixel) in self._from_last(x, y):
            if k:
                wins = x[pixel] >= y[out]
                np.maximum(winner[out], wins * winner.dtype.type(k), out=winner[out])
            np.maximum(y[out], x[pixel], out=y[out])
        return y

    def backward(self, dout: Any) -> Array:
        x, winner = self.x, self.winner
        dout = batch_last(self.as_dout(dout, winner.shape))
        dx = np.zeros_like(wide(x))
        for k, (out, pixel) in self._from_last(x, dout):
            if self.window.disjoint:  # a pass less than adding to the zeros
                np.multiply(dout[out], winner[out] == k, out=dx[pixel])
            else:
                dx[pixel] += dout[out] * (winner[out] == k)
        return dx.astype(x.dtype, copy=False)

    def _from_last(self, x: Array, y: Array) -> Iterator[tuple[int, tuple[Any, Any]]]:
        """Number the taps from the last to the first, so that of equal values the first wins."""
        return enumerate(reversed([*self._taps(x, y)]))


class AveragePooling(_Pooling):
    """``y`` is the mean of each window;  each of its pixels gets ``dout / (KH * KW)``.

    Padding counts as zeros, as in PyTorch's default. Where windows overlap, the gradients add up.

    Parameters
    ----------
    size : int or pair of int
        Size KH, KW of the window (rows, columns).
    stride : int or pair of int, optional
        Steps (down, right) from one window to the next; by default the size: no overlap.
    pad : int or pair of int, default 0
        Zeros around the image (above and below, left and right), fewer than the size.

    Raises
    ------
    ValueError
        If an integer is out of range.

    Notes
    -----
    The input has shape (N, C, H, W), the output (N, C, OH, OW) with
    ``OH = (H + 2 pad - KH) // stride + 1``.
    """

    def forward(self, x: Any) -> Array:
        x = batch_last(self.as_input(x))
        y = self._outputs(wide(x), 0)
        self.x_shape, self.y_shape = x.shape, y.shape
        for out, pixel in self._taps(x, y):
            y[out] += x[pixel]
        y /= math.prod(self.window.size)
        return y.astype(x.dtype, copy=False)

    def backward(self, dout: Any) -> Array:
        dout = batch_last(self.as_dout(dout, self.y_shape))
        share = wide(dout) / math.prod(self.window.size)
        dx = full_images(self.x_shape, 0, share)
        for out, pixel in self._taps(dx, share):
            dx[pixel] += share[out]
        return dx.astype(dout.dtype, copy=False)


class GlobalAveragePooling(Layer):
    """``y`` is the mean of each channel of each image;  its pixels get ``dout / (H * W)``.

    The input has shape (N, C, H, W), the output (N, C).
    """

    def expects(self, shape: tuple[int, ...]) -> str:
        return "" if len(shape) == 4 and 0 not in shape[2:] else "(N, C, H, W)"

    def forward(self, x: Any) -> Array:
        x = self.as_input(x)
        self.x_shape = x.shape
        return x.mean(axis=(2, 3))

    def backward(self, dout: Any) -> Array:
        share = self.as_dout(dout, self.x_shape[:2]) / math.prod(self.x_shape[2:])
        dx = full_images(self.x_shape, 0, share)
        dx += share[:, :, None, None]
        return dx
