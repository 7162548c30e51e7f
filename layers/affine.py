"""Layers with a weight matrix: MatMul and Affine."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ._numbers import as_count
from .base import Array, Layer, as_parameter
from .initializers import Initializer, he_normal


class MatMul(Layer):
    """``out = x @ W``;  ``dx = dout @ W.T``, ``dW = x.T @ dout``.

    Parameters
    ----------
    W : array of shape (D, M)
        Weights; a float array is held, not copied.

    Notes
    -----
    The input has shape (N, D) or (..., D), the output (N, M) or (..., M).
    """

    param_names: tuple[str, ...] = ("W",)

    def __init__(self, W: ArrayLike) -> None:
        self.W = as_parameter(W, f"{type(self).__name__}: W")
        if self.W.ndim != 2:
            raise ValueError(
                f"{type(self).__name__}: W has shape {self.W.shape}, expected (inputs, outputs); "
                f"{type(self).__name__}.random(inputs, outputs, rng) draws one"
            )

    @classmethod
    def random(
        cls,
        inputs: int,
        outputs: int,
        rng: np.random.Generator,
        *,
        init: Initializer = he_normal,
        dtype: DTypeLike = np.float32,
    ) -> Self:
        """Return a layer whose W of shape (inputs, outputs) is drawn from `rng` by `init`."""
        return cls(cls._draw(inputs, outputs, rng, init, dtype))

    @classmethod
    def _draw(cls, inputs: int, outputs: int, rng: Any, init: Initializer, dtype: Any) -> Array:
        name = f"{cls.__name__}.random"
        D, M = as_count(inputs, f"{name}: inputs"), as_count(outputs, f"{name}: outputs")
        return init((D, M), D, M, rng, dtype)

    def expects(self, shape: tuple[int, ...]) -> str:
        inputs = len(self.W)
        return "" if len(shape) >= 2 and shape[-1] == inputs else f"(N, {inputs})"

    def forward(self, x: Any) -> Array:
        self.x = x = self.as_input(x)
        out = _product(x, self.W)
        self.out_shape = out.shape
        return out

    def backward(self, dout: Any) -> Array:
        self.backward_params(dout)
        return _product(np.asarray(dout), self.W.T)

    def backward_params(self, dout: Any) -> None:
        """Assign the gradients of the parameters, without that of the input."""
        x, dout = self.x, self.as_dout(dout, self.out_shape)
        if x.ndim != 2:
            x, dout = _rows(x), _rows(dout)
        self.dW = x.T.dot(dout)

    def __repr__(self) -> str:
        inputs, outputs = self.W.shape
        return f"{type(self).__name__}({inputs} -> {outputs})"


class Affine(MatMul):
    """``out = x @ W + b``;  ``dx = dout @ W.T``, ``dW = x.T @ dout``, ``db`` = sum of ``dout``.

    Parameters
    ----------
    W : array of shape (D, M)
        Weights; a float array is held, not copied.
    b : array of shape (M,)
        Bias; a float array is held, not copied.

    Notes
    -----
    The input has shape (N, D) or (..., D), the output (N, M) or (..., M).
    """

    param_names = ("W", "b")

    def __init__(self, W: ArrayLike, b: ArrayLike) -> None:
        super().__init__(W)
        self.b = as_parameter(b, "Affine: b")
        outputs = self.W.shape[1]
        if self.b.shape != (outputs,):
            raise ValueError(f"{self!r}: b has shape {self.b.shape}, expected ({outputs},)")

    @classmethod
    def random(
        cls,
        inputs: int,
        outputs: int,
        rng: np.random.Generator,
        *,
        init: Initializer = he_normal,
        dtype: DTypeLike = np.float32,
    ) -> Self:
        """Return a layer whose W is drawn from `rng` by `init` and whose b is zero."""
        return cls(cls._draw(inputs, outputs, rng, init, dtype), np.zeros(outputs, dtype))

    def forward(self, x: Any) -> Array:
        out = super().forward(x)
        out += self.b
        return out

    def backward_params(self, dout: Any) -> None:
        """Assign the gradients of the parameters, without that of the input."""
        super().backward_params(dout)
        self.db = _rows(np.asarray(dout)).sum(axis=0)


def _rows(x: Array) -> Array:
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


def _product(x: Array, W: Array) -> Array:
    """``x @ W`` as one product of two matrices; ``dot`` takes small ones a third of the time."""
    if x.ndim == 2:
        return x.dot(W)
    return _rows(x).dot(W).reshape(*x.shape[:-1], W.shape[1])
