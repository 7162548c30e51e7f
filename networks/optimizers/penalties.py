"""Penalties on large weights: a term of the loss that depends on the parameters alone.

They apply to arrays of two or more axes: to weights and kernels, not to biases and scales.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...layers.base import Array
from ...layers.half import wide
from .hyperparameter import hyperparameter


class L2:
    """``strength / 2 * sum W^2``;  its gradient is ``strength * W``.

    Parameters
    ----------
    strength : float
        Factor of the penalty, at least 0.
    """

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
        return (
            self.strength / 2 * sum(float(np.square(wide(W)).sum()) for W in params if W.ndim > 1)
        )

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
            g + self.strength * W if W.ndim > 1 else g for g, W in zip(grads, params, strict=True)
        ]


class L1:
    """``strength * sum |W|``;  its gradient is ``strength * sign(W)``, 0 at the kink ``W = 0``.

    Parameters
    ----------
    strength : float
        Factor of the penalty, at least 0.
    """

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
        return self.strength * sum(float(np.abs(wide(W)).sum()) for W in params if W.ndim > 1)

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
            g + self.strength * np.sign(W) if W.ndim > 1 else g
            for g, W in zip(grads, params, strict=True)
        ]
