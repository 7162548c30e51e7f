"""Activations: elementwise functions, and softmax over the last axis."""

from __future__ import annotations

import math
from contextvars import Context
from functools import cache
from typing import Any

import numpy as np

from .base import Array, Layer
from .checks import as_number
from .device import normal_cdf
from .half import total, wide


class Sigmoid(Layer):
    """``y = 1 / (1 + exp(-x))``;  ``dx = dout * y * (1 - y)``."""

    def forward(self, x: Any) -> Array:
        self.y = sigmoid(self.as_input(x))
        return self.y

    def backward(self, dout: Any) -> Array:
        y = self.y
        one = _one(y.dtype, type(y))  # type: ignore[arg-type]  # a class is hashable
        return self.as_dout(dout, y.shape) * (y * (one - y))


class Tanh(Layer):
    """``y = tanh(x)``;  ``dx = dout * (1 - y^2)``."""

    def forward(self, x: Any) -> Array:
        self.y = np.tanh(self.as_input(x))
        return self.y

    def backward(self, dout: Any) -> Array:
        y = self.y
        return self.as_dout(dout, y.shape) * (1 - y * y)


class ReLU(Layer):
    """``y = max(x, 0)``;  ``dx = dout`` where ``x > 0``, else 0.

    At the kink ``x = 0`` the gradient is 0, one of the subgradients and the usual choice.
    """

    def forward(self, x: Any) -> Array:
        x = self.as_input(x)
        self.y = np.maximum(x, np.zeros_like(x))  # half the time of np.maximum(x, 0)
        return self.y

    def backward(self, dout: Any) -> Array:
        return self.as_dout(dout, self.y.shape) * (self.y > 0)


class LeakyReLU(Layer):
    """``y = x`` where ``x > 0``, else ``slope * x``;  ``dx = dout`` or ``slope * dout`` likewise.

    At the kink ``x = 0`` the gradient is ``slope * dout``.

    Parameters
    ----------
    slope : float, default 0.01
        Slope for negative x.
    """

    def __init__(self, slope: float = 0.01) -> None:
        self.slope = as_number(slope, "LeakyReLU: slope")

    def forward(self, x: Any) -> Array:
        self.x = x = self.as_input(x)
        return np.where(x > 0, x, self.slope * x)

    def backward(self, dout: Any) -> Array:
        dout = self.as_dout(dout, self.x.shape)
        return np.where(self.x > 0, dout, self.slope * dout)

    def __repr__(self) -> str:
        return f"LeakyReLU({self.slope})"


class GELU(Layer):
    """``y = x * Phi(x)``;  ``dx = dout * (Phi(x) + x * phi(x))``.

    ``Phi`` and ``phi`` are the normal distribution's cumulative and density functions. Hendrycks,
    Gimpel (2016), Gaussian Error Linear Units, https://arxiv.org/abs/1606.08415

    Notes
    -----
    In float64 Phi is exact, by erf; in float32 it comes from a polynomial, with an error of at
    most 3e-7, in a third of the time.
    """

    def forward(self, x: Any) -> Array:
        self.x = x = self.as_input(x)
        wide_x = wide(x)
        with np.errstate(over="ignore"):  # there exp is 0
            square = np.square(wide_x, out=np.empty_like(wide_x))
        exp = np.exp(np.multiply(square, -0.5, out=square), out=square)
        self.phi = exp * (1 / math.sqrt(2 * math.pi))
        self.Phi = normal_cdf(wide_x, exp)
        return (x * self.Phi).astype(x.dtype, copy=False)

    def backward(self, dout: Any) -> Array:
        x, dout = self.x, self.as_dout(dout, self.x.shape)
        return (dout * (self.Phi + x * self.phi)).astype(np.result_type(dout, x), copy=False)


class Softplus(Layer):
    """``y = log(1 + exp(x))``;  ``dx = dout / (1 + exp(-x))``."""

    def forward(self, x: Any) -> Array:
        self.x = x = self.as_input(x)
        y = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(wide(x))))  # no overflow
        return y.astype(x.dtype, copy=False)

    def backward(self, dout: Any) -> Array:
        dout = self.as_dout(dout, self.x.shape)
        dx = dout * sigmoid(wide(self.x))
        return dx.astype(np.result_type(dout, self.x), copy=False)


class Softmax(Layer):
    """``y = exp(x) / sum exp(x)`` over the last axis;  ``dx = y * (dout - sum(dout * y))``."""

    def expects(self, shape: tuple[int, ...]) -> str:
        return "" if shape and shape[-1] else "(..., K) with at least one class"

    def forward(self, x: Any) -> Array:
        x = self.as_input(x)
        y = np.exp(wide(x) - x.max(axis=-1, keepdims=True))  # the greatest is 1: no overflow
        self.y = (y / y.sum(axis=-1, keepdims=True)).astype(x.dtype, copy=False)
        return self.y

    def backward(self, dout: Any) -> Array:
        y, dout = self.y, self.as_dout(dout, self.y.shape)
        return y * (dout - total(dout * y, axis=-1, keepdims=True))


def sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))``."""
    one = _one(x.dtype, type(x))  # type: ignore[arg-type]  # a class is hashable
    exp = _QUIET.copy().run(np.exp, -x)  # inf leads to the right limit, 0
    return one / (one + exp)


_QUIET = Context()  # without warnings; np.errstate would take longer than a small exp
_QUIET.run(np.seterr, over="ignore")


@cache
def _one(dtype: np.dtype[Any], kind: Any) -> Any:
    """Return 1, for NumPy as an array: small ones work twice as fast with it as with a number."""
    return np.ones((), dtype) if kind is np.ndarray else dtype.type(1)
