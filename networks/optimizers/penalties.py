"""Penalties on large weights: a term of the loss that depends on the parameters alone.

They count the arrays of two axes and more: weights and filters, but no biases and no scales.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...layers.base import Array
from .hyperparameter import hyperparameter


class L2:
    """``strength / 2 * sum W^2``;  its gradient is ``strength * W``.

    Parameters
    ----------
    strength : float
        At least 0.
    """

    strength: float = hyperparameter()

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def value(self, params: Sequence[Array]) -> float:
        """Return the penalty."""
        return self.strength / 2 * sum(float(np.square(W).sum()) for W in params if W.ndim > 1)

    def add_to(self, grads: Sequence[Array], params: Sequence[Array]) -> list[Array]:
        """Return the gradients of the loss and the penalty together; `grads` stays as it is."""
        return [
            g + self.strength * W if W.ndim > 1 else g for g, W in zip(grads, params, strict=True)
        ]


class L1:
    """``strength * sum |W|``;  its gradient is ``strength * sign(W)``, 0 at the kink ``W = 0``.

    Parameters
    ----------
    strength : float
        At least 0.
    """

    strength: float = hyperparameter()

    def __init__(self, strength: float) -> None:
        self.strength = strength

    def value(self, params: Sequence[Array]) -> float:
        """Return the penalty."""
        return self.strength * sum(float(np.abs(W).sum()) for W in params if W.ndim > 1)

    def add_to(self, grads: Sequence[Array], params: Sequence[Array]) -> list[Array]:
        """Return the gradients of the loss and the penalty together; `grads` stays as it is."""
        return [
            g + self.strength * np.sign(W) if W.ndim > 1 else g
            for g, W in zip(grads, params, strict=True)
        ]
