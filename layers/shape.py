"""Layers that only move numbers: Flatten, Reshape and Pad."""

from __future__ import annotations

import math
from typing import Any

from .base import Array, Layer
from .checks import Pair, as_count, pair
from .images.layout import batch_last, full_images


class Flatten(Layer):
    """``out`` is ``x`` with each sample in one row;  ``dx`` is ``dout`` in the shape of ``x``.

    The input has shape (N, ...), the output (N, D), where D is the product of the other lengths.
    Integers stay integers; their gradient is None.
    """

    def forward(self, x: Any) -> Array:
        x = self.as_real(x, "x")
        if not x.ndim:
            raise ValueError(f"{self!r}: x has shape (), expected (N, ...)")
        self.x_shape, self.is_float = x.shape, x.dtype.kind == "f"
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, dout: Any) -> Array | None:
        n, *lengths = self.x_shape
        dout = self.as_dout(dout, (n, math.prod(lengths)))
        return dout.reshape(self.x_shape) if self.is_float else None


class Reshape(Layer):
    """``out`` is ``x`` with each sample in a new shape;  ``dx`` is ``dout`` in the old one.

    Parameters
    ----------
    *shape : int
        Shape of one sample, such as ``Reshape(1, 28, 28)``.

    Raises
    ------
    ValueError
        If a length is not a positive integer.

    Notes
    -----
    The input has shape (N, ...), the output (N, *shape), with as many numbers per sample. Integers
    stay integers; their gradient is None.
    """

    def __init__(self, *shape: int) -> None:
        self.shape = tuple(as_count(length, "Reshape: a length") for length in shape)

    def forward(self, x: Any) -> Array:
        x, size = self.as_real(x, "x"), math.prod(self.shape)
        if not x.ndim or math.prod(x.shape[1:]) != size:
            expected = f"(N, ...) with {size} numbers per sample"
            raise ValueError(f"{self!r}: x has shape {x.shape}, expected {expected}")
        self.x_shape, self.is_float = x.shape, x.dtype.kind == "f"
        return x.reshape(len(x), *self.shape)

    def backward(self, dout: Any) -> Array | None:
        dout = self.as_dout(dout, (self.x_shape[0], *self.shape))
        return dout.reshape(self.x_shape) if self.is_float else None

    def __repr__(self) -> str:
        return f"Reshape({', '.join(map(str, self.shape))})"


class Pad(Layer):
    """``out`` is ``x`` with zeros around;  ``dx`` is ``dout`` without them.

    Parameters
    ----------
    pad : int or pair of int
        Zeros around the image (above and below, left and right).

    Notes
    -----
    The input has shape (N, C, H, W), the output (N, C, H + 2 pad, W + 2 pad).
    """

    def __init__(self, pad: int | Pair) -> None:
        self.pad = pair("Pad", "pad", pad, 0)

    def expects(self, shape: tuple[int, ...]) -> str:
        return "" if len(shape) == 4 else "(N, C, H, W)"

    def forward(self, x: Any) -> Array:
        x = batch_last(self.as_input(x))
        n, channels, height, width = x.shape
        top, left = self.pad
        self.inside = (..., slice(top, top + height), slice(left, left + width))
        self.out_shape = n, channels, height + 2 * top, width + 2 * left
        out = full_images(self.out_shape, 0, x)
        out[self.inside] = x
        return out

    def backward(self, dout: Any) -> Array:
        return self.as_dout(dout, self.out_shape)[self.inside]

    def __repr__(self) -> str:
        return f"Pad({self.pad[0]}x{self.pad[1]})"
