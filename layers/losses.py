"""Losses: layers of two inputs, a prediction ``y`` and a target ``t``, with a float as output.

Each takes weights of the samples: one for each row, or for each of the target's leading axes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .activations import sigmoid
from .base import Array, Layer
from .checks import as_number, as_positive
from .half import wide
from .nested import leaves
from .protocols import LossLike
from .tree import is_layer
from .undeclared import check_declared


class Loss(Layer):
    """What the losses share: the reduction, and the checks of ``y``, ``t`` and the weights.

    Parameters
    ----------
    reduction : {"mean", "sum"}, default "mean"
        Whether the terms of the loss are averaged or added.

    Attributes
    ----------
    total : float
        What the latest mean was divided by: the number of terms, or the sum of their weights; 1 if
        the terms are added. The mean over several batches is ``sum(loss * total) / sum(total)``.
    """

    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in ("mean", "sum"):
            raise ValueError(
                f"{type(self).__name__}: reduction is {reduction!r}, expected 'mean' or 'sum'"
            )
        self.reduction = reduction

    def expects(self, shape: tuple[int, ...]) -> str:
        return "" if 0 not in shape else "at least one element: the batch is empty"

    def as_prediction(self, y: Any) -> Array:
        """Return `y` as an array to compute in: float16 as float32, which can hold the sums."""
        if type(y) is not np.ndarray and isinstance(y, tuple):
            raise TypeError(
                f"{self!r}: y is a tuple of {len(y)}, expected one array; "
                "SumLoss takes a loss for each output"
            )
        y = self.as_input(y, "y")
        self.dtype = y.dtype
        return wide(y)

    def as_target(self, t: Any, y: Array) -> Array:
        """Return `t` as an array of the dtype of `y`, which must have its shape too."""
        if type(t) is not type(y) or t.dtype is not y.dtype:
            t = self.as_real(t, "t", y=y).astype(y.dtype, copy=False)
        if t.shape != y.shape:
            raise ValueError(f"{self!r}: t has shape {t.shape}, expected {y.shape}, that of y")
        return t

    def shares(self, shape: tuple[int, ...], weights: Any, dtype: Any) -> Any:
        """Return the factor of each term, for terms of this shape, and set `total`.

        It is a number without weights, else an array of `dtype` that broadcasts with the terms.
        """
        if weights is None:
            self.total = float(math.prod(shape)) if self.reduction == "mean" else 1.0
            return 1 / self.total
        w = self.as_weights(weights, shape).astype(np.float64)
        if self.reduction == "sum":
            self.total = 1.0
        else:
            self.total = float(w.sum()) * math.prod(shape) / w.size
        w /= self.total or 1.0  # weights that are all 0 give a loss of 0
        return w.astype(dtype)

    def as_weights(self, weights: Any, shape: tuple[int, ...], **beside: Any) -> Array:
        """Return the weights of the samples, with an axis for each one of the terms' `shape`."""
        w = self.as_real(weights, "weights", **beside)
        if w.ndim == 0 or w.shape != shape[: w.ndim]:
            raise ValueError(
                f"{self!r}: weights have shape {w.shape}, expected {shape[:1]}, one for each row, "
                f"or more of the leading axes of {shape}"
            )
        if not (np.isfinite(w).all() and (w >= 0).all()):
            raise ValueError(f"{self!r}: weights are from {w.min()} to {w.max()}, expected >= 0")
        return w.reshape(w.shape + (1,) * (len(shape) - w.ndim))

    def as_scale(self, dout: Any) -> float:
        """Return the upstream gradient, which must be a number."""
        if type(dout) is not float and np.shape(dout) != ():
            raise ValueError(f"{self!r}: dout has shape {np.shape(dout)}, expected a number")
        return float(dout)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(reduction={self.reduction!r})"


class MSELoss(Loss):
    """``loss = mean (y - t)^2``;  ``dy = dout * 2 (y - t) / n``, with ``n`` elements.

    With ``reduction="sum"`` nothing is divided by ``n``; with weights ``w`` it is the weighted
    mean, ``sum w (y - t)^2 / sum w``.

    Parameters
    ----------
    reduction : {"mean", "sum"}, default "mean"
        Whether the terms of the loss are averaged or added.
    """

    def forward(self, y: Any, t: Any, weights: ArrayLike | None = None) -> float:
        y = self.as_prediction(y)
        error = y - self.as_target(t, y)
        self.weighted = error * self.shares(y.shape, weights, y.dtype)
        return float(np.vdot(error, self.weighted))

    def backward(self, dout: Any = 1.0) -> Array:
        return (2 * self.as_scale(dout) * self.weighted).astype(self.dtype, copy=False)


class MAELoss(Loss):
    """``loss = mean |y - t|``;  ``dy = dout * sign(y - t) / n``, with ``n`` elements.

    The gradient is 0 at the kink ``y = t``. With ``reduction="sum"`` nothing is divided by ``n``;
    with weights it is the weighted mean.

    Parameters
    ----------
    reduction : {"mean", "sum"}, default "mean"
        Whether the terms of the loss are averaged or added.
    """

    def forward(self, y: Any, t: Any, weights: ArrayLike | None = None) -> float:
        y = self.as_prediction(y)
        error = y - self.as_target(t, y)
        self.slope = np.sign(error) * self.shares(y.shape, weights, y.dtype)
        return float(np.vdot(error, self.slope))

    def backward(self, dout: Any = 1.0) -> Array:
        return (self.as_scale(dout) * self.slope).astype(self.dtype, copy=False)


class HuberLoss(Loss):
    """``loss = mean h(y - t)``;  ``dy = dout * clip(y - t, -delta, delta) / n``, of n elements.

    ``h(e) = e^2 / 2`` where ``|e| <= delta``, else ``delta * (|e| - delta / 2)``. With
    ``reduction="sum"`` nothing is divided by ``n``; with weights it is the weighted mean. Huber
    (1964), Robust Estimation of a Location Parameter, https://doi.org/10.1214/aoms/1177703732

    Parameters
    ----------
    delta : float, default 1.0
        Error beyond which the loss grows linearly; positive.
    reduction : {"mean", "sum"}, default "mean"
        Whether the terms of the loss are averaged or added.

    Raises
    ------
    TypeError, ValueError
        If `delta` is not a positive number; from `forward`, if y and t differ in shape.
    """

    def __init__(self, delta: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.delta = as_positive(delta, "HuberLoss: delta")

    def forward(self, y: Any, t: Any, weights: ArrayLike | None = None) -> float:
        y = self.as_prediction(y)
        error = y - self.as_target(t, y)
        clipped = np.clip(error, -self.delta, self.delta)
        self.slope = clipped * self.shares(y.shape, weights, y.dtype)
        return float(np.vdot(error - 0.5 * clipped, self.slope))

    def backward(self, dout: Any = 1.0) -> Array:
        return (self.as_scale(dout) * self.slope).astype(self.dtype, copy=False)

    def __repr__(self) -> str:
        return f"HuberLoss(delta={self.delta}, reduction={self.reduction!r})"


class BinaryCrossEntropyLoss(Loss):
    """``loss = mean -(t log p + (1 - t) log(1 - p))``;  ``dy = dout * (p - t) / n``.

    The prediction ``y`` holds logits, ``p = 1 / (1 + exp(-y))``; the target, of the same shape,
    lies in [0, 1]. ``n`` is the number of elements; with ``reduction="sum"`` nothing is divided,
    with weights it is the weighted mean.

    Parameters
    ----------
    reduction : {"mean", "sum"}, default "mean"
        Whether the terms of the loss are averaged or added.
    positive_weight : float, default 1.0
        Factor of the terms ``t log p``, for rare positives, as PyTorch's ``pos_weight``.

    Raises
    ------
    TypeError, ValueError
        If `positive_weight` is not a positive number; from `forward`, if y and t differ in shape,
        or t lies outside [0, 1].
    """

    def __init__(self, reduction: str = "mean", *, positive_weight: float = 1.0) -> None:
        super().__init__(reduction)
        self.positive_weight = as_positive(
            positive_weight, "BinaryCrossEntropyLoss: positive_weight"
        )

    def forward(self, y: Any, t: Any, weights: ArrayLike | None = None) -> float:
        y = self.as_prediction(y)
        t = self.as_target(t, y)
        if not (t.min() >= 0 and t.max() <= 1):
            raise ValueError(f"{self!r}: t lies in [{t.min()}, {t.max()}], expected [0, 1]")
        share = self.shares(y.shape, weights, y.dtype)
        # With c = 1 + (w - 1) t: (1 - t) y + c log(1 + exp(-y)), in a form without cancellation.
        c = 1 + (self.positive_weight - 1) * t
        terms = (1 - t) * y + c * (np.maximum(-y, 0) + np.log1p(np.exp(-np.abs(y))))
        self.slope = (c * sigmoid(y) - self.positive_weight * t) * share
        return float(np.sum(terms * share, dtype=np.float64))

    def backward(self, dout: Any = 1.0) -> Array:
        return (self.as_scale(dout) * self.slope).astype(self.dtype, copy=False)


class SumLoss(Loss):
    """``loss = sum_i weight_i * loss_i(y_i, t_i)``: for nets of several outputs.

    Parameters
    ----------
    *losses : Layer
        One loss for each output, each a mean.
    weights : tuple of float, optional
        Factor of each loss; by default 1.

    Attributes
    ----------
    values : tuple of float
        The latest value of each loss.

    Raises
    ------
    TypeError
        If one is no loss, such as a class or a list.
    ValueError
        If there are no losses, one occurs twice, or there are not as many weights; from `forward`,
        if y or t is not a tuple with one element per loss.

    Notes
    -----
    ``forward(y, t, weights=None)`` takes tuples y and t; weights of the samples go to each loss.
    ``backward(dout)`` returns a tuple of gradients. ``total`` is that of the first loss; the mean
    over several batches follows from it only if all losses are means over the same rows.
    """

    part_names = ("losses",)

    def __init__(self, *losses: LossLike, weights: tuple[float, ...] | None = None) -> None:
        super().__init__()
        if not losses:
            raise ValueError("SumLoss: got no losses, expected one for each output")
        for loss in losses:
            if not is_layer(loss):
                raise TypeError(
                    f"SumLoss: a loss is {loss!r:.60}, expected an instance of each, such as "
                    "SumLoss(MSELoss(), CrossEntropyLoss())"
                )
        self.losses: tuple[Any, ...] = losses
        check_declared(self)
        factors = (1.0,) * len(losses) if weights is None else tuple(weights)
        if len(factors) != len(losses):
            raise ValueError(f"SumLoss: {len(factors)} weights for {len(losses)} losses")
        self.weights = tuple(as_number(w, "SumLoss: weights") for w in factors)

    def forward(self, y: Any, t: Any, weights: ArrayLike | None = None) -> float:
        for name, value in (("y", y), ("t", t)):
            if not isinstance(value, tuple) or len(value) != len(self.losses):
                is_tuple = isinstance(value, tuple)
                came = f"a tuple of {len(value)}" if is_tuple else type(value).__name__
                raise ValueError(
                    f"{self!r}: {name} is {came}, expected a tuple of {len(self.losses)}"
                )
        options = () if weights is None else (weights,)
        parts = zip(self.losses, y, t, strict=True)
        self.values = tuple(loss.forward(yi, ti, *options) for loss, yi, ti in parts)
        _, first = next(leaves(y))
        self.total = float(getattr(self.losses[0], "total", len(np.atleast_1d(first))))
        return sum(w * value for w, value in zip(self.weights, self.values, strict=True))

    def backward(self, dout: Any = 1.0) -> tuple[Any, ...]:
        scale = self.as_scale(dout)
        both = zip(self.weights, self.losses, strict=True)
        return tuple(loss.backward(scale * w) for w, loss in both)

    def __repr__(self) -> str:
        return f"SumLoss({', '.join(map(repr, self.losses))}, weights={self.weights})"
