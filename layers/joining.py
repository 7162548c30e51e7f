"""Layers that join values and take them apart: Concatenate, Slice and Reverse."""

from __future__ import annotations

from itertools import accumulate, pairwise
from types import EllipsisType
from typing import Any

import numpy as np

from .base import Array, Layer
from .checks import as_index

Index = int | slice | EllipsisType


class Concatenate(Layer):
    """``out`` joins all inputs along one axis;  ``dx_i`` is the part of ``dout`` that x_i became.

    Integers stay integers if all inputs are, else become floats like the others; the gradient of
    an integer input is None.

    Parameters
    ----------
    axis : int, default -1
        The axis along which they are joined; all other lengths must be equal.

    Raises
    ------
    TypeError
        If `axis` is not an integer.
    ValueError
        From `forward`, if the other lengths differ.
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = as_index(axis, "Concatenate: axis")

    def forward(self, *xs: Any) -> Array:
        arrays = [self.as_real(x, "x") for x in xs]
        floats = [x.dtype for x in arrays if x.dtype.kind == "f"]
        try:
            out = np.concatenate(
                arrays, axis=self.axis, dtype=np.result_type(*floats) if floats else None
            )
        except ValueError:
            shapes = ", ".join(str(x.shape) for x in arrays) or "none"
            raise ValueError(
                f"{self!r}: the inputs have shapes {shapes}, expected an axis {self.axis} and "
                "equal lengths along the others"
            ) from None
        self.out_shape = out.shape
        self.is_float = [x.dtype.kind == "f" for x in arrays]
        self.ends = [0, *accumulate(x.shape[self.axis] for x in arrays)]
        return out

    def backward(self, dout: Any) -> Any:
        parts = np.moveaxis(self.as_dout(dout, self.out_shape), self.axis, 0)
        dxs = tuple(
            np.moveaxis(parts[start:end], 0, self.axis) if is_float else None
            for (start, end), is_float in zip(pairwise(self.ends), self.is_float, strict=True)
        )
        return dxs if len(dxs) > 1 else dxs[0]

    def __repr__(self) -> str:
        return f"Concatenate(axis={self.axis})"


class Slice(Layer):
    """``out = x[index]``;  ``dx`` is ``dout`` there and 0 elsewhere.

    Integers stay integers; their gradient is None.

    Parameters
    ----------
    index : int, slice, ``...`` or a tuple of them
        ``np.s_`` writes it: ``Slice(np.s_[:, -1])`` takes the last step of (N, T, D).

    Raises
    ------
    TypeError
        If `index` holds anything else.
    ValueError
        From `forward`, if `index` lies outside x.
    """

    def __init__(self, index: Index | tuple[Index, ...]) -> None:
        self.index: tuple[Index, ...] = tuple(
            part
            if isinstance(part, slice | EllipsisType)
            else as_index(part, "Slice: a part of index", "an integer, a slice or ...")
            for part in (index if isinstance(index, tuple) else (index,))
        )

    def forward(self, x: Any) -> Array:
        x = self.as_real(x, "x")
        try:
            out = np.asarray(x[self.index], like=x)
        except IndexError as error:
            raise ValueError(f"{self!r}: x has shape {x.shape}: {error}") from None
        self.x_shape, self.out_shape, self.is_float = x.shape, out.shape, x.dtype.kind == "f"
        return out

    def backward(self, dout: Any) -> Array | None:
        dout = self.as_dout(dout, self.out_shape)
        if not self.is_float:
            return None
        dx = np.zeros_like(dout, shape=self.x_shape)
        dx[self.index] = dout
        return dx

    def __repr__(self) -> str:
        return f"Slice([{', '.join(map(_spelt, self.index))}])"


class Reverse(Layer):
    """``out_t = x_{T+1-t}``: the steps of (N, T, ...) from last to first;  ``dx`` likewise.

    Two of them around a recurrent layer make it run backwards in time. Integers stay integers;
    their gradient is None.
    """

    def forward(self, x: Any) -> Array:
        x = self.as_real(x, "x")
        if x.ndim < 2:
            raise ValueError(f"{self!r}: x has shape {x.shape}, expected (N, T, ...)")
        self.x_shape, self.is_float = x.shape, x.dtype.kind == "f"
        return x[:, ::-1]

    def backward(self, dout: Any) -> Array | None:
        dout = self.as_dout(dout, self.x_shape)
        return dout[:, ::-1] if self.is_float else None


def _spelt(part: Index) -> str:
    """Write a part of an index as in brackets: ``1:``, ``-1``, ``...``."""
    if isinstance(part, slice):
        ends = [part.start, part.stop] + ([] if part.step is None else [part.step])
        return ":".join("" if end is None else str(end) for end in ends)
    return "..." if part is Ellipsis else str(part)
