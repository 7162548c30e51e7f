"""Optimizers: ``step(params, grads)`` moves the parameters in place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..layers.base import Array


class SGD:
    """``v = momentum * v + g``, ``p = p - lr * v``: gradient descent.

    Parameters
    ----------
    lr : float, default 0.1
        Learning rate.
    momentum : float, default 0.0
        Share of the last step that is kept.
    """

    def __init__(self, lr: float = 0.1, momentum: float = 0.0) -> None:
        self.lr, self.momentum = lr, momentum
        self.v: list[Array] = []

    def step(self, params: Sequence[Array], grads: Sequence[Array]) -> None:
        if self.momentum:
            self.v = self.v or [np.zeros_like(p) for p in params]
            for v, g in zip(self.v, grads, strict=True):
                v *= self.momentum
                v += g
            grads = self.v
        for p, g in zip(params, grads, strict=True):
            p -= self.lr * g


class Adam:
    """``m = b1 m + (1 - b1) g``, ``v = b2 v + (1 - b2) g^2``, ``p = p - lr m' / (sqrt v' + eps)``.

    ``m'`` and ``v'`` are m and v over ``1 - b1^t`` and ``1 - b2^t``, at step t. Kingma, Ba (2015),
    Adam: A Method for Stochastic Optimization, https://arxiv.org/abs/1412.6980

    Parameters
    ----------
    lr : float, default 0.001
        Learning rate.
    betas : pair of float, default (0.9, 0.999)
        The decay rates b1 and b2.
    eps : float, default 1e-8
        Keeps the denominator from 0.
    """

    def __init__(
        self, lr: float = 0.001, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        self.lr, self.betas, self.eps = lr, betas, eps
        self.t = 0
        self.m: list[Array] = []
        self.v: list[Array] = []

    def step(self, params: Sequence[Array], grads: Sequence[Array]) -> None:
        if not self.m:
            self.m = [np.zeros_like(p) for p in params]
            self.v = [np.zeros_like(p) for p in params]
        b1, b2 = self.betas
        self.t += 1
        lr = self.lr / (1 - b1**self.t)
        root = (1 - b2**self.t) ** 0.5
        for p, g, m, v in zip(params, grads, self.m, self.v, strict=True):
            m += (1 - b1) * (g - m)
            v += (1 - b2) * (g * g - v)
            p -= lr * m / (np.sqrt(v) / root + self.eps)
