"""Losses: layers of two inputs, a prediction ``y`` and a target ``t``, with a float as output."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._numbers import as_number
from .base import Array, Layer


class _Loss(Layer):
    """What the losses share: the reduction and the checks of ``y`` and ``t``.

    Parameters
    ----------
    reduction : {"mean", "sum"}, default "mean"
        Whether the terms of the loss are averaged or added.
    """

    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in ("mean", "sum"):
            raise ValueError(
                f"{type(self).__name__}: reduction is {reduction!r}, expected 'mean' or 'sum'"
            )
        self.reduction = reduction

    def _like(self, y: Array, t: Any) -> Array:
        """Return `t` as an array of the dtype of `y`, which must have its shape too."""
        if type(t) is not np.ndarray or t.dtype is not y.dtype:
            t = self._real(t, "t").astype(y.dtype, copy=False)
        if t.shape != y.shape:
            raise ValueError(f"{self!r}: t has shape {t.shape}, expected {y.shape}, that of y")
        return t

    def _weight(self, terms: int) -> float:
        """Return what each of so many terms counts in the loss."""
        return 1 / terms if self.reduction == "mean" else 1.0

    def _scalar(self, dout: Any) -> float:
        if not isinstance(dout, float | int) and np.shape(dout) != ():
            raise ValueError(f"{self!r}: dout has shape {np.shape(dout)}, expected a number")
        return float(dout)

    def expects(self, shape: tuple[int, ...]) -> str:
        return "" if 0 not in shape else "at least one element: the batch is empty"

    def __repr__(self) -> str:
        return f"{type(self).__name__}(reduction={self.reduction!r})"


class MSELoss(_Loss):
    """``loss = mean (y - t)^2``;  ``dy = dout * 2 (y - t) / n``, with ``n`` elements.

    With ``reduction="sum"`` nothing is divided by ``n``.
    """

    def forward(self, y: Any, t: Any) -> float:
        y = self.as_input(y, "y")
        self.error = y - self._like(y, t)
        flat = self.error.ravel(order="K")
        return float(flat.dot(flat)) * self._weight(flat.size)

    def backward(self, dout: Any = 1.0) -> Array:
        return self.error * (2 * self._scalar(dout) * self._weight(self.error.size))


class MAELoss(_Loss):
    """``loss = mean |y - t|``;  ``dy = dout * sign(y - t) / n``, with ``n`` elements.

    The gradient is 0 at the kink ``y = t``. With ``reduction="sum"`` nothing is divided by ``n``.
    """

    def forward(self, y: Any, t: Any) -> float:
        y = self.as_input(y, "y")
        self.error = y - self._like(y, t)
        return float(np.abs(self.error).sum()) * self._weight(self.error.size)

    def backward(self, dout: Any = 1.0) -> Array:
        return np.sign(self.error) * (self._scalar(dout) * self._weight(self.error.size))


class HuberLoss(_Loss):
    """``loss = mean h(y - t)``;  ``dy = dout * clip(y - t, -delta, delta) / n``, of n elements.

    ``h(e) = e^2 / 2`` where ``|e| <= delta``, else ``delta * (|e| - delta / 2)``. With
    ``reduction="sum"`` nothing is divided by ``n``. Huber (1964), Robust Estimation of a Location
    Parameter, https://doi.org/10.1214/aoms/1177703732

    Parameters
    ----------
    delta : float, default 1.0
        Error beyond which the loss grows linearly; positive.
    reduction : {"mean", "sum"}, default "mean"
        Whether the terms of the loss are averaged or added.
    """

    def __init__(self, delta: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.delta = as_number(delta, "HuberLoss: delta")
        if not self.delta > 0:
            raise ValueError(f"HuberLoss: delta is {delta}, expected a positive number")

    def forward(self, y: Any, t: Any) -> float:
        y = self.as_input(y, "y")
        self.error = y - self._like(y, t)
        self.clipped = np.clip(self.error, -self.delta, self.delta)
        terms = self.clipped * (self.error - 0.5 * self.clipped)
        return float(terms.sum()) * self._weight(terms.size)

    def backward(self, dout: Any = 1.0) -> Array:
        return self.clipped * (self._scalar(dout) * self._weight(self.clipped.size))

    def __repr__(self) -> str:
        return f"HuberLoss(delta={self.delta}, reduction={self.reduction!r})"


class CrossEntropyLoss(_Loss):
    """``loss = mean -sum_k t_k log p_k``, ``p = softmax(y)``;  ``dy = dout * (p - t) / n``.

    The prediction ``y`` holds logits of shape (N, K) or (..., K), ``n`` rows in all. The target
    is an integer label from 0 to K - 1 for each row, shape (N,) or (...), or a distribution for
    each row, of the shape of ``y``. With ``reduction="sum"`` nothing is divided by ``n``.
    """

    def expects(self, shape: tuple[int, ...]) -> str:
        if len(shape) < 2:
            return "logits (N, K)"
        return super().expects(shape)

    def forward(self, y: Any, t: Any) -> float:
        y = self.as_input(y, "y")
        t = self._real(t, "t")
        z = np.subtract(y, y.max(axis=-1, keepdims=True), order="C")
        if t.shape == y.shape[:-1]:
            classes = y.shape[-1]
            self.t = np.arange(0, z.size, classes) + self._labels(t, classes)  # places in a row
            picked = z.ravel()[self.t]
        else:
            self.t = self._distribution(y, t)
            picked = self.t * np.where(self.t > 0, z, 0)  # a masked logit, -inf, counts nothing
        self.p = np.exp(z)
        total = self.p.sum(axis=-1, keepdims=True)
        self.p /= total
        loss = float(np.log(total).sum() - picked.sum())
        return loss * self._weight(total.size)

    def backward(self, dout: Any = 1.0) -> Array:
        n = self.p.size // self.p.shape[-1]
        weight = self._scalar(dout) * self._weight(n)
        if self.t.shape == self.p.shape:
            return (self.p - self.t) * weight
        dy = self.p * weight
        dy.ravel()[self.t] -= weight
        return dy

    def _labels(self, t: Array, classes: int) -> Array:
        """Return the labels in one row, checked."""
        if t.dtype.kind not in "iu":
            raise TypeError(f"{self!r}: labels t are of dtype {t.dtype}, expected integers")
        t = t.ravel()
        if t.astype(np.uint64).max() >= classes:  # a negative label wraps to a huge one
            wrong = int(np.flatnonzero((t < 0) | (t >= classes))[0])
            raise ValueError(
                f"{self!r}: label t[{wrong}] is {t[wrong]}, expected 0 to {classes - 1}"
            )
        return t.astype(np.intp, copy=False)

    def _distribution(self, y: Array, t: Array) -> Array:
        if t.shape != y.shape:
            raise ValueError(
                f"{self!r}: t has shape {t.shape}, expected labels {y.shape[:-1]} "
                f"or distributions {y.shape}"
            )
        sums = t.sum(axis=-1)
        if t.min() < 0 or np.abs(sums - 1).max() > 1e-3:
            raise ValueError(
                f"{self!r}: t has rows that are no distributions (least value {t.min()}, "
                f"sums from {sums.min()} to {sums.max()}), expected values >= 0 with sum 1"
            )
        return t.astype(y.dtype, copy=False)


class BinaryCrossEntropyLoss(_Loss):
    """``loss = mean -(t log p + (1 - t) log(1 - p))``;  ``dy = dout * (p - t) / n``.

    The prediction ``y`` holds logits, ``p = 1 / (1 + exp(-y))``; the target, of the same shape,
    lies in [0, 1]. ``n`` is the number of elements; with ``reduction="sum"`` nothing is divided.
    """

    def forward(self, y: Any, t: Any) -> float:
        y = self.as_input(y, "y")
        t = self._like(y, t)
        if not (t.min() >= 0 and t.max() <= 1):
            raise ValueError(f"{self!r}: t lies in [{t.min()}, {t.max()}], expected [0, 1]")
        self.y, self.t = y, t
        # max(y, 0) - y t is exact where y and t agree; log(1 + exp(y)) - y t would cancel.
        terms = np.maximum(y, 0) - y * t + np.log1p(np.exp(-np.abs(y)))
        return float(terms.sum()) * self._weight(y.size)

    def backward(self, dout: Any = 1.0) -> Array:
        from scipy.special import expit

        p = expit(self.y)
        return (p - self.t) * (self._scalar(dout) * self._weight(p.size))
