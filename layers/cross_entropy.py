"""Cross-entropy of the softmax: of logits, with labels or distributions as the target."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .base import Array
from .checks import as_index
from .losses import Loss


class CrossEntropyLoss(Loss):
    """``loss = mean -sum_k t_k log p_k``, ``p = softmax(y)``;  ``dy = dout * (p - t) / n``.

    The prediction ``y`` holds logits of shape (N, K) or (..., K), ``n`` rows in all. The target is
    an integer label from 0 to K - 1 for each row, shape (N,) or (...), or a distribution for each
    row, of the shape of ``y``. With ``reduction="sum"`` nothing is divided by ``n``. With weights
    ``w`` of the rows it is ``sum w loss / sum w``.

    Parameters
    ----------
    reduction : {"mean", "sum"}, default "mean"
        Whether the terms of the loss are averaged or added.
    ignore_index : int, optional
        Rows with this label, such as padding, are left out. A batch of such rows alone has loss 0
        and gradient 0.
    class_weights : array of shape (K,), optional
        Weight of each row by its label, as PyTorch's ``weight``.

    Raises
    ------
    TypeError, ValueError
        If `ignore_index` is not an integer, or `class_weights` are not one number of at least 0 per
        class; from `forward`, if t has another shape, a label is not in range, or a distribution
        does not sum to 1.
    """

    def __init__(
        self,
        reduction: str = "mean",
        *,
        ignore_index: int | None = None,
        class_weights: ArrayLike | None = None,
    ) -> None:
        super().__init__(reduction)
        self.ignore_index: int | None = None
        self.class_weights: Array | None = None
        if ignore_index is not None:
            self.ignore_index = as_index(ignore_index, "CrossEntropyLoss: ignore_index")
        if class_weights is not None:
            self.class_weights = w = self.as_real(class_weights, "class_weights")
            if w.ndim != 1 or not (np.isfinite(w).all() and (w >= 0).all()):
                raise ValueError(
                    f"CrossEntropyLoss: class_weights is {class_weights!r:.80}, "
                    "expected one number of at least 0 for each class"
                )

    def expects(self, shape: tuple[int, ...]) -> str:
        return super().expects(shape) if len(shape) >= 2 else "logits (N, K)"

    def forward(self, y: Any, t: Any, weights: ArrayLike | None = None) -> float:
        y = self.as_prediction(y)
        t = self.as_real(t, "t", y=y)
        z = np.ascontiguousarray(y - y.max(axis=-1, keepdims=True), like=y)  # no overflow
        places = None
        if t.shape == y.shape[:-1]:
            labels, weights = self._labels(t, y.shape[-1], weights)
            places = np.arange(0, z.size, y.shape[-1], like=t).reshape(t.shape) + labels
            picked = z.ravel()[places]
        else:
            t = self._distributions(t, y)
            # A masked logit, -inf, adds nothing where its probability is 0.
            picked = (t * np.where(t > 0, z, 0)).sum(axis=-1)
        share = self.shares(y.shape[:-1], weights, y.dtype)
        self.exp = np.exp(z, out=z)  # p before it is divided by its sum
        self.sums = self.exp.sum(axis=-1)
        self.t, self.places, self.share = t, places, share
        return float(((np.log(self.sums) - picked) * share).sum())

    def backward(self, dout: Any = 1.0) -> Array:
        share = self.as_scale(dout) * self.share
        dy = self.exp * (share / self.sums)[..., None]  # share p
        if self.places is None:
            dy -= self.t * (share[..., None] if np.ndim(share) else share)
        else:
            dy.ravel()[self.places] -= share
        return dy.astype(self.dtype, copy=False)

    def _labels(self, t: Array, classes: int, weights: Any) -> tuple[Array, Any]:
        """Return the labels, checked, and the weights of the rows with those of their classes."""
        if t.dtype.kind not in "iu":
            raise TypeError(f"{self!r}: labels t are of dtype {t.dtype}, expected integers")
        kept = None
        if self.ignore_index is not None:
            kept = t != self.ignore_index
            t = np.where(kept, t, 0)
        t = t.astype(np.intp, copy=False)
        if t.astype(np.uintp).max() >= classes:  # a negative label is huge there
            place = tuple(map(int, np.argwhere((t < 0) | (t >= classes))[0]))
            raise ValueError(
                f"{self!r}: label t[{', '.join(map(str, place))}] is {t[place]}, "
                f"expected 0 to {classes - 1}"
            )
        if kept is None and self.class_weights is None:
            return t, weights
        plain = self.class_weights is None
        own = np.ones_like(t, dtype=np.float64) if plain else self._by_class(t, classes)
        if kept is not None:
            own = own * kept
        if weights is not None:
            own = own * self.as_weights(weights, t.shape, t=t)
        return t, own

    def _by_class(self, t: Array, classes: int) -> Array:
        weights = self.class_weights
        if weights is None or weights.shape != (classes,):
            raise ValueError(
                f"{self!r}: class_weights has shape {getattr(weights, 'shape', ())}, "
                f"expected ({classes},), one for each column of the logits"
            )
        return np.asarray(weights, like=t)[t]

    def _distributions(self, t: Array, y: Array) -> Array:
        if t.shape != y.shape:
            raise ValueError(
                f"{self!r}: t has shape {t.shape}, expected labels {y.shape[:-1]} "
                f"or distributions {y.shape}"
            )
        if self.ignore_index is not None or self.class_weights is not None:
            raise TypeError(
                f"{self!r}: t has the shape of distributions {t.shape}, expected integer labels "
                f"{y.shape[:-1]} for ignore_index and class_weights"
            )
        sums = t.sum(axis=-1)
        if not (t.min() >= 0 and np.abs(sums - 1).max() <= 1e-3):  # NaN is neither
            raise ValueError(
                f"{self!r}: rows of t are not probability distributions (minimum {t.min()}, "
                f"sums from {sums.min()} to {sums.max()}), expected values >= 0 with sum 1"
            )
        return t.astype(y.dtype, copy=False)

    def __repr__(self) -> str:
        text = f"CrossEntropyLoss(reduction={self.reduction!r}"
        if self.ignore_index is not None:
            text += f", ignore_index={self.ignore_index}"
        return text + (", class_weights=...)" if self.class_weights is not None else ")")
