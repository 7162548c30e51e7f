"""Optimizers with a separate step size for each element: AdaGrad, RMSProp, Adam, AdamW."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from ...layers.base import Array
from ...layers.half import wide
from .base import Optimizer, elementwise
from .hyperparameter import hyperparameter, in_range

_LEAST_EPS = 1e-30  # float32 holds it: where all gradients are 0, a step is 0 / eps, not NaN


class _Squaring(Optimizer):
    """An optimizer whose state holds squares of gradients."""

    def _check(self, params: Sequence[Array], grads: Sequence[Array]) -> None:
        """Raise FloatingPointError before squares, or a long sum of them, become infinite.

        They would remain infinite, and the parameter would never move again.
        """
        for k, (p, g) in enumerate(zip(params, map(wide, grads), strict=True)):
            if not np.vdot(g, g) < 1e-4 * _largest(p.dtype) and np.isfinite(g).all():
                raise FloatingPointError(
                    f"{self!r}: gradient {k} holds {np.abs(g).max():.3g}, whose square is too "
                    f"large for {wide(p).dtype}; is the loss too large? Trainer clips with max_norm"
                )


class AdaGrad(_Squaring):
    """``h = h + g^2``, ``p = p - lr * g / (sqrt(h) + eps)``.

    Duchi, Hazan, Singer (2011), Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization, https://jmlr.org/papers/v12/duchi11a.html

    Parameters
    ----------
    lr : float, default 0.01
        Learning rate.
    eps : float, default 1e-10
        Keeps the denominator away from 0; at least 1e-30.
    weight_decay : float, default 0.0
        See `Optimizer`.
    """

    slots = ("h",)
    hyperparameters = ("lr", "eps", "weight_decay")
    eps: float = hyperparameter(least=_LEAST_EPS)

    def __init__(self, lr: float = 0.01, *, eps: float = 1e-10, weight_decay: float = 0.0) -> None:
        super().__init__(lr, weight_decay)
        self.eps = eps

    @elementwise
    def _update(self, p: Array, g: Array, *state: Array) -> None:
        (h,) = state
        h += g * g
        p -= self.lr * g / (np.sqrt(h) + self.eps)


class RMSProp(_Squaring):
    """``v = rho * v + (1 - rho) * g^2``, ``p = p - lr * g / (sqrt(v) + eps)``.

    Tieleman, Hinton (2012), Lecture 6.5 of Neural Networks for Machine Learning,
    https://www.cs.toronto.edu/~hinton/coursera/lecture6/lec6.pdf

    Parameters
    ----------
    lr : float, default 0.01
        Learning rate.
    rho : float, default 0.99
        Decay rate of the running mean, below 1.
    eps : float, default 1e-8
        Keeps the denominator away from 0; at least 1e-30.
    weight_decay : float, default 0.0
        See `Optimizer`.
    """

    slots = ("v",)
    hyperparameters = ("lr", "rho", "eps", "weight_decay")
    rho: float = hyperparameter(below=1)
    eps: float = hyperparameter(least=_LEAST_EPS)

    def __init__(
        self, lr: float = 0.01, rho: float = 0.99, *, eps: float = 1e-8, weight_decay: float = 0.0
    ) -> None:
        super().__init__(lr, weight_decay)
        self.rho, self.eps = rho, eps

    @elementwise
    def _update(self, p: Array, g: Array, *state: Array) -> None:
        (v,) = state
        square = g * g
        v *= self.rho
        v += (1 - self.rho) * square
        p -= self.lr * g / (np.sqrt(v) + self.eps)


class Adam(_Squaring):
    """``m = b1 m + (1 - b1) g``, ``v = b2 v + (1 - b2) g^2``, ``p = p - lr m' / (sqrt(v') + eps)``.

    ``m'`` and ``v'`` are m and v over ``1 - b1^t`` and ``1 - b2^t``, at step t. Kingma, Ba (2015),
    Adam: A Method for Stochastic Optimization, https://arxiv.org/abs/1412.6980

    Parameters
    ----------
    lr : float, default 0.001
        Learning rate.
    betas : pair of float, default (0.9, 0.999)
        The decay rates b1 and b2, below 1.
    eps : float, default 1e-8
        Keeps the denominator away from 0; at least 1e-30.
    weight_decay : float, default 0.0
        See `Optimizer`.

    Notes
    -----
    The state holds the sums ``M = b1 M + g`` and ``V = b2 V + g^2``, so that all constants
    combine into two numbers per step: ``p = p - rate * M / (sqrt(V) + eps / c)``, where
    ``c^2 = (1 - b2) / (1 - b2^t)`` and ``rate = lr (1 - b1) / (1 - b1^t) / c``.
    """

    slots = ("M", "V")
    hyperparameters = ("lr", "betas", "eps", "weight_decay")
    eps: float = hyperparameter(least=_LEAST_EPS)

    def __init__(
        self,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        *,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr, weight_decay)
        self.betas, self.eps = betas, eps

    @property
    def betas(self) -> tuple[float, float]:
        """The decay rates b1 and b2."""
        return self._betas

    @betas.setter
    def betas(self, betas: tuple[float, float]) -> None:
        name = type(self).__name__
        try:
            b1, b2 = betas
        except (TypeError, ValueError):
            raise TypeError(f"{name}: betas is {betas!r}, expected a pair of numbers") from None
        self._betas = in_range(b1, f"{name}: b1", 1), in_range(b2, f"{name}: b2", 1)

    @elementwise
    def _update(self, p: Array, g: Array, *state: Array) -> None:
        M, V = state
        b1, b2 = self.betas
        c = math.sqrt((1 - b2) / (1 - b2**self.t))
        square = g * g
        V *= b2
        V += square
        del square  # its memory, still in the cache, is the next array's
        M *= b1
        M += g
        move = np.sqrt(V, out=np.empty_like(V))
        move += self.eps / c
        np.divide(M, move, out=move)
        move *= self.lr * (1 - b1) / (1 - b1**self.t) / c
        p -= move


class AdamW(Adam):
    """``p = p - lr * weight_decay * p``, then as `Adam`: the decay does not enter the moments.

    Loshchilov, Hutter (2019), Decoupled Weight Decay Regularization,
    https://arxiv.org/abs/1711.05101

    Parameters
    ----------
    lr : float, default 0.001
        Learning rate.
    betas : pair of float, default (0.9, 0.999)
        The decay rates b1 and b2, below 1.
    eps : float, default 1e-8
        Keeps the denominator away from 0; at least 1e-30.
    weight_decay : float, default 0.01
        Decoupled weight decay coefficient.
    """

    def __init__(
        self,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        *,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(lr, betas, eps=eps, weight_decay=weight_decay)

    def _decay(self, params: Sequence[Array], grads: Sequence[Array]) -> list[Array]:
        for p in params:
            p *= 1 - self.lr * self.weight_decay
        return list(grads)


@cache
def _largest(dtype: np.dtype[Any]) -> float:
    return float(np.finfo(np.promote_types(dtype, np.float32)).max)  # as of the state
