"""Dropout: random zeros while training."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Array, Layer
from .checks import as_generator, as_number


class Dropout(Layer):
    """``y = x * mask``;  ``dx = dout * mask``, where mask is 0 or ``1 / (1 - rate)``, at random.

    Each element is dropped with probability `rate`, anew in each forward. In evaluation
    ``y = x``. Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov (2014), Dropout:
    A Simple Way to Prevent Neural Networks from Overfitting,
    https://jmlr.org/papers/v15/srivastava14a.html

    Parameters
    ----------
    rate : float
        Drop probability, in [0, 1); the expected value is unchanged.
    rng : numpy.random.Generator
        Draws the masks.

    Raises
    ------
    TypeError, ValueError
        If `rate` is not a number in [0, 1), or `rng` not a Generator.
    """

    def __init__(self, rate: float, rng: np.random.Generator) -> None:
        name = type(self).__name__
        self.rate, self.rng = as_number(rate, f"{name}: rate"), as_generator(rng, f"{name}: rng")
        if not 0 <= self.rate < 1:
            raise ValueError(f"{name}: rate is {rate!r}, expected a number in [0, 1)")

    def expects(self, shape: tuple[int, ...]) -> str:
        return "" if shape else "(N, ...)"

    def forward(self, x: Any) -> Array:
        x = self.as_input(x)
        self.x_shape, self.mask = x.shape, None
        if not self.training:
            return x
        n, *lengths = self._units(x.shape)  # drawn with the batch last, as images lie in memory
        kept = self.rng.random((*lengths, n), dtype=np.float32) >= self.rate
        kept = np.asarray(kept, like=x)
        self.mask = np.moveaxis(np.multiply(kept, 1 / (1 - self.rate), dtype=x.dtype), -1, 0)
        return x * self.mask

    def backward(self, dout: Any) -> Array:
        dout = self.as_dout(dout, self.x_shape)
        return dout if self.mask is None else dout * self.mask

    def _units(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of what is dropped as one."""
        return shape

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.rate})"


class SpatialDropout(Dropout):
    """``y = x * mask``;  ``dx = dout * mask``, where mask drops whole channels, as `Dropout`.

    Neighbouring pixels are strongly correlated, so dropping single ones regularizes little.
    Tompson, Goroshin, Jain, LeCun, Bregler (2015), Efficient Object Localization Using
    Convolutional Networks, https://arxiv.org/abs/1411.4280

    Parameters
    ----------
    rate : float
        Drop probability of each channel, in [0, 1).
    rng : numpy.random.Generator
        Draws the masks.

    Raises
    ------
    TypeError, ValueError
        If `rate` is not a number in [0, 1), or `rng` not a Generator.

    Notes
    -----
    The input has shape (N, C, ...), such as images (N, C, H, W).
    """

    def expects(self, shape: tuple[int, ...]) -> str:
        return "" if len(shape) >= 3 else "(N, C, H, W)"

    def _units(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:2], *(1 for _ in shape[2:]))
