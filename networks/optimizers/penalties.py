"""Penalties on large weights: a term of the loss that depends on the parameters alone.

They apply to arrays of two or more axes: to weights and kernels, not to biases and scales.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...layers.base import Array
from ...layers.half import wide
from .hyperparameter import hyperparameter


class _Penalty:
    """``strength * sum f(W)``, where f is written by a subclass, with its derivative beside it."""

    strength: float = hyperparameter()

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def value(self, params: Sequence[Array]) -> float:
        """Return the penalty.

        Parameters
        ----------
        params : sequence of arrays
            All trained arrays.

        Returns
        -------
        float
            The term to add to the loss.
        """
        return self.strength * sum(self._sum(wide(W)) for W in params if W.ndim > 1)

    def add_to(self, grads: Sequence[Array], params: Sequence[Array]) -> list[Array]:
        """Return the gradients with those of the penalty added.

        Parameters
        ----------
        grads : sequence of arrays
            Gradients of the loss; they stay as they are.
        params : sequence of arrays
            All trained arrays, in the same order.

        Returns
        -------
        list of arrays
            Gradients of loss and penalty together.
        """
        return [
            g + self.strength * self._slope(W) if W.ndim > 1 else g
            for g, W in zip(grads, params, strict=True)
        ]

    def _sum(self, W: Array) -> float:
        raise NotImplementedError

    def _slope(self, W: Array) -> Array:
        raise NotImplementedError


class L2(_Penalty):
    """``strength / 2 * sum W^2``;  its gradient is ``strength * W``.

    Parameters
    ----------
    strength : float
        Factor of the penalty, at least 0.
    """

    def _sum(self, W: Array) -> float:
        return float(np.square(W).sum()) / 2

    def _slope(self, W: Array) -> Array:
        return W


class L1(_Penalty):
    """``strength * sum |W|``;  its gradient is ``strength * sign(W)``, 0 at the kink ``W = 0``.

    Parameters
    ----------
    strength : float
        Factor of the penalty, at least 0.
    """

    def _sum(self, W: Array) -> float:
        return float(np.abs(W).sum())

    def _slope(self, W: Array) -> Array:
        return np.sign(W)
