"""Initial weights: functions of a shape, its fans, a Generator and a dtype; see `Initializer`."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from .base import Array
from .checks import as_generator, as_number


class Initializer(Protocol):
    """Any function ``init(shape, fan_in, fan_out, rng, dtype)`` that returns initial weights."""

    def __call__(
        self,
        shape: tuple[int, ...],
        fan_in: int,
        fan_out: int,
        rng: np.random.Generator,
        dtype: DTypeLike,
        /,
    ) -> Array:
        """Draw an array.

        Parameters
        ----------
        shape : tuple of int
            Shape of the array.
        fan_in, fan_out : int
            Numbers of inputs that an output sums up, and of outputs that an input contributes to.
        rng : numpy.random.Generator
            Draws the numbers.
        dtype : dtype
            Dtype of the array.

        Returns
        -------
        array
            The weights, of this shape and dtype.
        """
        ...


def he_normal(
    shape: tuple[int, ...], fan_in: int, fan_out: int, rng: np.random.Generator, dtype: DTypeLike
) -> Array:
    """Draw from a normal distribution of standard deviation ``sqrt(2 / fan_in)``.

    For ReLU. He, Zhang, Ren, Sun (2015), Delving Deep into Rectifiers,
    https://arxiv.org/abs/1502.01852
    """
    return _normal(math.sqrt(2 / fan_in), shape, rng, dtype)


def xavier_normal(
    shape: tuple[int, ...], fan_in: int, fan_out: int, rng: np.random.Generator, dtype: DTypeLike
) -> Array:
    """Draw from a normal distribution of standard deviation ``sqrt(2 / (fan_in + fan_out))``.

    For sigmoid and tanh. Glorot, Bengio (2010), Understanding the difficulty of training deep
    feedforward neural networks, https://proceedings.mlr.press/v9/glorot10a.html
    """
    return _normal(math.sqrt(2 / (fan_in + fan_out)), shape, rng, dtype)


def lecun_normal(
    shape: tuple[int, ...], fan_in: int, fan_out: int, rng: np.random.Generator, dtype: DTypeLike
) -> Array:
    """Draw from a normal distribution of standard deviation ``sqrt(1 / fan_in)``.

    For tanh; some books call it Xavier's. LeCun, Bottou, Orr, Müller (1998), Efficient BackProp,
    https://doi.org/10.1007/3-540-49430-8_2
    """
    return _normal(math.sqrt(1 / fan_in), shape, rng, dtype)


def xavier_uniform(
    shape: tuple[int, ...], fan_in: int, fan_out: int, rng: np.random.Generator, dtype: DTypeLike
) -> Array:
    """Draw uniformly from ``[-a, a)`` with ``a = sqrt(6 / (fan_in + fan_out))``.

    For sigmoid and tanh; from the same paper as `xavier_normal`.
    """
    a = math.sqrt(6 / (fan_in + fan_out))
    return as_generator(rng, "rng").uniform(-a, a, shape).astype(dtype)


def normal(std: float) -> Initializer:
    """Return an initializer that draws from the normal distribution with mean 0.

    Parameters
    ----------
    std : float
        Standard deviation, at least 0.

    Returns
    -------
    Initializer
        What draws the weights.

    Raises
    ------
    TypeError, ValueError
        If `std` is not a number, or below 0.
    """
    std = as_number(std, "normal: std")
    if not std >= 0:
        raise ValueError(f"normal: std is {std}, expected at least 0")

    def init(
        shape: tuple[int, ...], fan_in: int, fan_out: int, rng: np.random.Generator, dtype: Any
    ) -> Array:
        return _normal(std, shape, rng, dtype)

    return init


def uniform(low: float, high: float) -> Initializer:
    """Return an initializer that draws uniformly from ``[low, high)``.

    Parameters
    ----------
    low, high : float
        The limits.

    Returns
    -------
    Initializer
        What draws the weights.

    Raises
    ------
    ValueError
        If `low` is above `high`.
    """
    if not low <= high:
        raise ValueError(f"uniform: low is {low} and high {high}, expected low <= high")

    def init(
        shape: tuple[int, ...], fan_in: int, fan_out: int, rng: np.random.Generator, dtype: Any
    ) -> Array:
        return as_generator(rng, "rng").uniform(low, high, shape).astype(dtype)

    return init


def zeros(
    shape: tuple[int, ...], fan_in: int, fan_out: int, rng: np.random.Generator, dtype: DTypeLike
) -> Array:
    """Return zeros, for biases."""
    return np.zeros(shape, dtype)


def _normal(
    scale: float, shape: tuple[int, ...], rng: np.random.Generator, dtype: DTypeLike
) -> Array:
    return as_generator(rng, "rng").normal(0.0, scale, shape).astype(dtype)
