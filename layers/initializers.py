"""Initial weights: functions of a shape, its fans, a Generator and a dtype.

An initializer is any function ``init(shape, fan_in, fan_out, rng, dtype)`` that returns an array.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .base import Array
from .checks import as_generator, as_number

# The quotes keep NumPy from loading its Generators at import.
Initializer = Callable[[tuple[int, ...], int, int, "np.random.Generator", DTypeLike], Array]


def he_normal(
    shape: tuple[int, ...], fan_in: int, fan_out: int, rng: np.random.Generator, dtype: DTypeLike
) -> Array:
    """Normal of standard deviation ``sqrt(2 / fan_in)``, for ReLU.

    He, Zhang, Ren, Sun (2015), Delving Deep into Rectifiers, https://arxiv.org/abs/1502.01852
    """
    return _normal(math.sqrt(2 / fan_in), shape, rng, dtype)


def xavier_normal(
    shape: tuple[int, ...], fan_in: int, fan_out: int, rng: np.random.Generator, dtype: DTypeLike
) -> Array:
    """Normal of standard deviation ``sqrt(2 / (fan_in + fan_out))``, for sigmoid and tanh.

    Glorot, Bengio (2010), Understanding the difficulty of training deep feedforward neural
    networks, https://proceedings.mlr.press/v9/glorot10a.html
    """
    return _normal(math.sqrt(2 / (fan_in + fan_out)), shape, rng, dtype)


def lecun_normal(
    shape: tuple[int, ...], fan_in: int, fan_out: int, rng: np.random.Generator, dtype: DTypeLike
) -> Array:
    """Normal of standard deviation ``sqrt(1 / fan_in)``, for tanh; some books' "Xavier".

    LeCun, Bottou, Orr, Müller (1998), Efficient BackProp,
    https://doi.org/10.1007/3-540-49430-8_2
    """
    return _normal(math.sqrt(1 / fan_in), shape, rng, dtype)


def xavier_uniform(
    shape: tuple[int, ...], fan_in: int, fan_out: int, rng: np.random.Generator, dtype: DTypeLike
) -> Array:
    """Uniform in ``[-a, a)`` with ``a = sqrt(6 / (fan_in + fan_out))``, for sigmoid and tanh.

    The same paper as `xavier_normal`.
    """
    a = math.sqrt(6 / (fan_in + fan_out))
    return as_generator(rng, "rng").uniform(-a, a, shape).astype(dtype)


def normal(std: float) -> Initializer:
    """Return an initializer that draws from the normal distribution of mean 0 and this `std`.

    Parameters
    ----------
    std : float
        Standard deviation, at least 0.

    Returns
    -------
    Initializer
        A function of a shape.

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
    """Return an initializer that draws uniformly from ``[low, high)``."""
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
    """All zeros: for biases."""
    return np.zeros(shape, dtype)


def _normal(
    scale: float, shape: tuple[int, ...], rng: np.random.Generator, dtype: DTypeLike
) -> Array:
    return as_generator(rng, "rng").normal(0.0, scale, shape).astype(dtype)
