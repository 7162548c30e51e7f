"""Gradient descent, with momentum."""

from __future__ import annotations

import numpy as np

from ...layers.base import Array
from .base import Optimizer, elementwise
from .hyperparameter import hyperparameter


class SGD(Optimizer):
    """``p = p - lr * g``, or with momentum ``v = momentum * v + g``, ``p = p - lr * v``.

    With `nesterov`, ``p = p - lr * (g + momentum * v)``. Momentum: Polyak (1964), Some methods of
    speeding up the convergence of iteration methods, https://doi.org/10.1016/0041-5553(64)90137-5.
    Nesterov's form: Sutskever, Martens, Dahl, Hinton (2013), On the importance of initialization
    and momentum in deep learning, https://proceedings.mlr.press/v28/sutskever13.html

    Parameters
    ----------
    lr : float, default 0.1
        Learning rate.
    momentum : float, default 0.0
        Momentum coefficient, below 1.
    nesterov : bool, default False
        Use Nesterov momentum.
    weight_decay : float, default 0.0
        See `Optimizer`.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, or `nesterov` is set without momentum.
    """

    hyperparameters = ("lr", "momentum", "nesterov", "weight_decay")
    momentum: float = hyperparameter(below=1)

    def __init__(
        self,
        lr: float = 0.1,
        momentum: float = 0.0,
        *,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr, weight_decay)
        self.momentum, self.nesterov = momentum, nesterov
        if self.nesterov and not self.momentum:
            raise ValueError("SGD: nesterov needs a momentum above 0")

    @property
    def nesterov(self) -> bool:
        """Whether to use Nesterov momentum."""
        return self._nesterov

    @nesterov.setter
    def nesterov(self, nesterov: bool) -> None:
        if not isinstance(nesterov, bool | np.bool_):
            name = type(self).__name__
            raise TypeError(f"{name}: nesterov is {nesterov!r}, expected True or False")
        self._nesterov = bool(nesterov)

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]  # it follows from momentum
        """Return the names of the arrays of state: the velocity, where there is momentum."""
        return ("v",) if self.momentum else ()

    @elementwise
    def _update(self, p: Array, g: Array, *state: Array) -> None:
        for v in state:
            v *= self.momentum
            v += g
            g = g + self.momentum * v if self.nesterov else v
        p -= self.lr * g
