"""Layers with a weight matrix: MatMul and Affine."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .base import Array, Layer
from .checks import as_count, as_float_dtype, as_generator, as_parameter
from .half import total
from .initializers import Initializer, he_normal


class MatMul(Layer):
    """``out = x @ W``;  ``dx = dout @ W.T``, ``dW = x.T @ dout``.

    Parameters
    ----------
    W : array of shape (D, M)
        Weights; a float array is used in place: training changes the caller's array.

    Raises
    ------
    TypeError, ValueError
        If W does not hold real numbers or is not a matrix.

    Notes
    -----
    The input has shape (N, D) or (..., D), the output (N, M) or (..., M).
    """

    param_names = ("W",)

    def __init__(self, W: ArrayLike) -> None:
        self.W = _as_weights(W, "MatMul")

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
        """Return a layer whose W is drawn by `init`.

        Parameters
        ----------
        inputs, outputs : int
            Lengths D and M.
        rng : numpy.random.Generator
            Source of the random numbers.
        init : Initializer, default he_normal
            Distribution of W.
        dtype : dtype, default float32
            Dtype of W.
        """
        return cls(_draw("MatMul", inputs, outputs, rng, init, dtype))

    def expects(self, shape: tuple[int, ...]) -> str:
        inputs = self.W.shape[0]
        return "" if len(shape) >= 2 and shape[-1] == inputs else f"(N, {inputs})"

    def forward(self, x: Any) -> Array:
        self.x = x = self.as_input(x)
        return product(x, self.W)

    def backward(self, dout: Any) -> Array:
        dout = self.as_dout(dout, (*self.x.shape[:-1], self.W.shape[1]))
        self.backward_params(dout)
        return product(dout, self.W.T)

    def backward_params(self, dout: Any) -> None:
        dout = self.as_dout(dout, (*self.x.shape[:-1], self.W.shape[1]))
        self.dW = rows(self.x).T.dot(rows(dout))

    def __repr__(self) -> str:
        return f"MatMul({self.W.shape[0]} -> {self.W.shape[1]})"


class Affine(Layer):
    """``out = x @ W + b``;  ``dx = dout @ W.T``, ``dW = x.T @ dout``, ``db`` = sum of ``dout``.

    Parameters
    ----------
    W : array of shape (D, M)
        Weights; a float array is used in place: training changes the caller's array.
    b : array of shape (M,)
        Bias, likewise.
    transposed : bool, default False
        Whether W has shape (M, D) and ``out = x @ W.T + b``, ``dx = dout @ W``,
        ``dW = dout.T @ x``: an output layer tied to an Embedding takes the same array W.

    Raises
    ------
    TypeError, ValueError
        If W or b does not hold real numbers, W is not a matrix, or b does not have one element per
        output.

    Notes
    -----
    The input has shape (N, D) or (..., D), the output (N, M) or (..., M).
    """

    param_names = ("W", "b")

    def __init__(self, W: ArrayLike, b: ArrayLike, *, transposed: bool = False) -> None:
        self.W, self.b = _as_weights(W, "Affine"), as_parameter(b, "Affine: b")
        self.transposed = transposed
        outputs = self.W.shape[not transposed]
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
        """Return a layer whose W is drawn by `init` and whose b is zero.

        Parameters
        ----------
        inputs, outputs : int
            Lengths D and M.
        rng : numpy.random.Generator
            Source of the random numbers.
        init : Initializer, default he_normal
            Distribution of W.
        dtype : dtype, default float32
            Dtype of W and b.
        """
        W = _draw("Affine", inputs, outputs, rng, init, dtype)
        return cls(W, np.zeros(outputs, dtype))

    def expects(self, shape: tuple[int, ...]) -> str:
        inputs = self.W.shape[self.transposed]
        return "" if len(shape) >= 2 and shape[-1] == inputs else f"(N, {inputs})"

    def forward(self, x: Any) -> Array:
        self.x = x = self.as_input(x)
        out = product(x, self.W.T if self.transposed else self.W)
        out += self.b
        return out

    def backward(self, dout: Any) -> Array:
        dout = self.as_dout(dout, (*self.x.shape[:-1], self.b.size))
        self.backward_params(dout)
        return product(dout, self.W if self.transposed else self.W.T)

    def backward_params(self, dout: Any) -> None:
        x, dout = rows(self.x), rows(self.as_dout(dout, (*self.x.shape[:-1], self.b.size)))
        self.dW = dout.T.dot(x) if self.transposed else x.T.dot(dout)
        self.db = total(dout, axis=0)

    def __repr__(self) -> str:
        inputs, outputs = self.W.T.shape if self.transposed else self.W.shape
        return f"Affine({inputs} -> {outputs}{', transposed' * self.transposed})"


def rows(x: Array) -> Array:
    """Return x of shape (..., D) as a matrix of rows (N, D)."""
    return x if x.ndim == 2 else x.reshape(-1, x.shape[-1])


def product(x: Array, W: Array) -> Array:
    """``x @ W`` as one product of two matrices; ``dot`` takes small ones a third of the time."""
    return x.dot(W) if x.ndim == 2 else rows(x).dot(W).reshape(*x.shape[:-1], W.shape[1])


def _as_weights(W: ArrayLike, name: str) -> Array:
    array = as_parameter(W, f"{name}: W")
    if array.ndim != 2:
        raise ValueError(
            f"{name}: W has shape {array.shape}, expected (inputs, outputs); "
            f"{name}.random(inputs, outputs, rng) draws one"
        )
    return array


def _draw(name: str, inputs: Any, outputs: Any, rng: Any, init: Initializer, dtype: Any) -> Array:
    D = as_count(inputs, f"{name}.random: inputs")
    M = as_count(outputs, f"{name}.random: outputs")
    rng = as_generator(rng, f"{name}.random: rng")
    return init((D, M), D, M, rng, as_float_dtype(dtype, f"{name}.random: dtype"))
