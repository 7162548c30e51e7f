"""Embedding and PositionalEmbedding: a learned vector for each token and for each position."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..base import Array, Layer
from ..checks import as_count, as_float_dtype, as_generator, as_parameter
from ..device import sums_by_label
from ..half import total, wide


class Embedding(Layer):
    """``out = W[x]``;  ``dW[k]`` is the sum of ``dout`` where ``x`` is k. x holds integers.

    Parameters
    ----------
    W : array of shape (V, D)
        One row per token of the vocabulary; a float array is used in place: training changes it.

    Raises
    ------
    TypeError, ValueError
        If W is not a matrix; from `forward`, if x does not hold integers from 0 to V - 1.

    Notes
    -----
    The input has shape (...) with integers from 0 to V - 1, the output (..., D). backward returns
    None: integers have no gradient.
    """

    param_names = ("W",)

    def __init__(self, W: ArrayLike) -> None:
        self.W = as_parameter(W, "Embedding: W")
        if self.W.ndim != 2:
            raise ValueError(f"Embedding: W has shape {self.W.shape}, expected (vocab, size)")

    @classmethod
    def random(
        cls,
        vocab: int,
        size: int,
        rng: np.random.Generator,
        *,
        std: float = 0.02,
        dtype: DTypeLike = np.float32,
    ) -> Self:
        """Return a layer whose W is drawn from a normal distribution.

        Parameters
        ----------
        vocab, size : int
            Lengths V and D.
        rng : numpy.random.Generator
            Source of the random numbers.
        std : float, default 0.02
            Standard deviation; 0.02 suits transformers, and 1 is a better start for a small
            recurrent net.
        dtype : dtype, default float32
            Dtype of W.
        """
        name = "Embedding.random"
        V, D = as_count(vocab, f"{name}: vocab"), as_count(size, f"{name}: size")
        W = as_generator(rng, f"{name}: rng").normal(0, std, (V, D))
        return cls(W.astype(as_float_dtype(dtype, f"{name}: dtype")))

    def forward(self, x: Any) -> Array:
        self.x = x = self._indices(x)
        return self.W[x]

    def backward(self, dout: Any) -> None:
        """Assign dW and return None."""
        self.backward_params(dout)

    def backward_params(self, dout: Any) -> None:
        """Assign dW."""
        D = self.W.shape[1]
        x, dout = self.x.ravel(), self.as_dout(dout, (*self.x.shape, D)).reshape(-1, D)
        self.dW = np.zeros_like(self.W, dtype=dout.dtype)
        words, sums = sums_by_label(wide(dout), x)
        self.dW[words] = sums

    def _indices(self, x: Any) -> Array:
        """Return x as integers from 0 to V - 1."""
        x, V = self.as_real(x, "x"), len(self.W)
        if x.dtype.kind not in "iu":
            raise TypeError(f"{self!r}: x is of dtype {x.dtype}, expected integers")
        wrong = (x < 0) | (x >= V)
        if wrong.any():
            place = tuple(map(int, np.argwhere(wrong)[0]))
            at = f"[{', '.join(map(str, place))}]" if place else ""
            raise ValueError(f"{self!r}: x{at} is {x[place]}, expected 0 to {V - 1}")
        return x

    def __repr__(self) -> str:
        V, D = self.W.shape
        return f"Embedding({V} -> {D})"


class PositionalEmbedding(Layer):
    """``out_t = x_t + W_t`` for each position t;  ``dx = dout``, ``dW`` = sum of ``dout`` over N.

    Gehring, Auli, Grangier, Yarats, Dauphin (2017), Convolutional Sequence to Sequence Learning,
    https://arxiv.org/abs/1705.03122

    Parameters
    ----------
    W : array of shape (L, D)
        One row per position; a float array is used in place: training changes it.

    Raises
    ------
    ValueError
        If W is not a matrix; from `forward`, if x is longer than L.

    Notes
    -----
    The input has shape (N, T, D) with T of at most L: shorter sequences take the first rows, and
    the gradient of the others is 0.
    """

    param_names = ("W",)

    def __init__(self, W: ArrayLike) -> None:
        self.W = as_parameter(W, "PositionalEmbedding: W")
        if self.W.ndim != 2:
            raise ValueError(
                f"PositionalEmbedding: W has shape {self.W.shape}, expected (length, size)"
            )

    @classmethod
    def random(
        cls,
        length: int,
        size: int,
        rng: np.random.Generator,
        *,
        std: float = 0.02,
        dtype: DTypeLike = np.float32,
    ) -> Self:
        """Return a layer whose W is drawn from a normal distribution.

        Parameters
        ----------
        length, size : int
            Lengths L and D.
        rng : numpy.random.Generator
            Source of the random numbers.
        std : float, default 0.02
            Standard deviation.
        dtype : dtype, default float32
            Dtype of W.
        """
        name = "PositionalEmbedding.random"
        L, D = as_count(length, f"{name}: length"), as_count(size, f"{name}: size")
        W = as_generator(rng, f"{name}: rng").normal(0, std, (L, D))
        return cls(W.astype(as_float_dtype(dtype, f"{name}: dtype")))

    def expects(self, shape: tuple[int, ...]) -> str:
        L, D = self.W.shape
        fits = len(shape) == 3 and shape[1] <= L and shape[2] == D
        return "" if fits else f"(N, T, {D}) with T of at most {L}"

    def forward(self, x: Any) -> Array:
        x = self.as_input(x)
        self.x_shape = x.shape
        return x + self.W[: x.shape[1]]

    def backward(self, dout: Any) -> Array:
        dout = self.as_dout(dout, self.x_shape)
        self.dW = np.zeros_like(self.W, dtype=dout.dtype)
        self.dW[: dout.shape[1]] = total(dout, 0)
        return dout

    def __repr__(self) -> str:
        L, D = self.W.shape
        return f"PositionalEmbedding({L} places of {D})"
