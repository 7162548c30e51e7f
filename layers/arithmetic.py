"""Nodes of a computational graph: multiply, add, identity, repeat and sum."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Array, Layer
from .checks import as_count, as_index
from .half import total


class _BinaryLayer(Layer):
    """What `MulLayer` and `AddLayer` share: two inputs, Python numbers or arrays."""

    def _save(self, x: Any, y: Any) -> None:
        self.x, self.y = _as_operand(self, x, "x"), _as_operand(self, y, "y", x=x)
        try:
            self.out_shape = np.broadcast_shapes(np.shape(self.x), np.shape(self.y))
        except ValueError:
            raise ValueError(
                f"{self!r}: x has shape {np.shape(x)} and y {np.shape(y)}, "
                "expected shapes that broadcast together"
            ) from None

    def _check_dout(self, dout: Any) -> Any:
        if self.out_shape == () and isinstance(dout, int | float):
            return dout
        return self.as_dout(dout, self.out_shape)


class MulLayer(_BinaryLayer):
    """``out = x * y``;  ``dx = dout * y``, ``dy = dout * x``.

    The inputs are Python numbers, which stay Python numbers, or arrays that broadcast together;
    each gradient is summed back to its input's shape.

    Examples
    --------
    >>> mul = MulLayer()
    >>> mul.forward(100, 2)
    200
    >>> mul.backward(1.1)
    (2.2, 110.00000000000001)
    """

    def forward(self, x: Any, y: Any) -> Any:
        self._save(x, y)
        return self.x * self.y

    def backward(self, dout: Any) -> tuple[Any, Any]:
        dout = self._check_dout(dout)
        return _unbroadcast(dout * self.y, self.x), _unbroadcast(dout * self.x, self.y)


class AddLayer(_BinaryLayer):
    """``out = x + y``;  ``dx = dout``, ``dy = dout``.

    The inputs are Python numbers, which stay Python numbers, or arrays that broadcast together;
    each gradient is summed back to its input's shape.
    """

    def forward(self, x: Any, y: Any) -> Any:
        self._save(x, y)
        return self.x + self.y

    def backward(self, dout: Any) -> tuple[Any, Any]:
        dout = self._check_dout(dout)
        return _unbroadcast(dout, self.x), _unbroadcast(dout, self.y)


class Identity(Layer):
    """``out = x``;  ``dx = dout``. Passes any value on, a tuple of several inputs too."""

    def forward(self, *inputs: Any) -> Any:
        return inputs if len(inputs) != 1 else inputs[0]

    def backward(self, dout: Any) -> Any:
        return dout


class Repeat(Layer):
    """``out`` is `n` copies of ``x`` along a new axis;  ``dx`` is the sum of ``dout`` over it.

    Parameters
    ----------
    n : int
        Number of copies, at least 1.
    axis : int, default 0
        Position of the new axis in the output.

    Raises
    ------
    TypeError, ValueError
        If `n` or `axis` is not such an integer.
    """

    def __init__(self, n: int, axis: int = 0) -> None:
        self.n, self.axis = as_count(n, "Repeat: n"), as_index(axis, "Repeat: axis")

    def expects(self, shape: tuple[int, ...]) -> str:
        new = len(shape) + 1
        return "" if -new <= self.axis < new else f"one with a place for axis {self.axis}"

    def forward(self, x: Any) -> Array:
        x = self.as_input(x)
        out = np.repeat(np.expand_dims(x, self.axis), self.n, self.axis)
        self.out_shape = out.shape
        return out

    def backward(self, dout: Any) -> Array:
        dout = self.as_dout(dout, self.out_shape)
        return np.asarray(total(dout, self.axis), like=dout)

    def __repr__(self) -> str:
        return f"Repeat({self.n}, axis={self.axis})"


class Sum(Layer):
    """``out`` is the sum of ``x`` over an axis;  ``dx`` repeats ``dout`` along it.

    Parameters
    ----------
    axis : int or tuple of int, optional
        Axis or axes to sum over; None sums over all.

    Raises
    ------
    TypeError
        If `axis` is not an integer or integers.
    ValueError
        From `forward`, if x has no such axis, or one is given twice.
    """

    def __init__(self, axis: int | tuple[int, ...] | None = None) -> None:
        self.axis: int | tuple[int, ...] | None = None
        if isinstance(axis, tuple | list):
            self.axis = tuple(as_index(a, "Sum: axis") for a in axis)
        elif axis is not None:
            self.axis = as_index(axis, "Sum: axis")

    def expects(self, shape: tuple[int, ...]) -> str:
        n, axes = len(shape), self.axis if isinstance(self.axis, tuple) else (self.axis or 0,)
        fits = self.axis is None or len({a % n for a in axes if -n <= a < n}) == len(axes)
        each = "distinct axes" if isinstance(self.axis, tuple) else "axis"
        return "" if fits else f"one with {each} {self.axis}"

    def forward(self, x: Any) -> Any:
        x = self.as_input(x)
        out = total(x, self.axis, keepdims=True)
        self.x_shape, self.kept_shape = x.shape, out.shape
        out = out.squeeze(self.axis)
        self.out_shape = out.shape
        return out

    def backward(self, dout: Any) -> Array:
        dout = self.as_dout(dout, self.out_shape).reshape(self.kept_shape)
        return np.broadcast_to(dout, self.x_shape).copy()

    def __repr__(self) -> str:
        return f"Sum(axis={self.axis})"


def _as_operand(layer: Layer, value: Any, name: str, **beside: Any) -> Any:
    return value if isinstance(value, int | float) else layer.as_real(value, name, **beside)


def _unbroadcast(gradient: Any, operand: Any) -> Any:
    """Sum `gradient` over the axes along which `operand` was broadcast."""
    if isinstance(operand, int | float) and hasattr(gradient, "__array_function__"):
        return total(gradient).item()
    shape = np.shape(operand)
    if np.shape(gradient) == shape:
        return gradient
    new = gradient.ndim - len(shape)
    stretched = [i for i, n in enumerate(shape, new) if n == 1 and gradient.shape[i] != 1]
    return total(gradient, (*range(new), *stretched), keepdims=True).reshape(shape)
