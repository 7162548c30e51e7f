"""Metrics: functions ``metric(y, t)`` of a batch of predictions and targets, with a float back."""

from __future__ import annotations

import numpy as np

from ..layers.base import Array


def accuracy(y: Array, t: Array) -> float:
    """Share of the rows whose greatest entry stands at the label.

    Parameters
    ----------
    y : array of shape (..., K)
        Logits, probabilities or scores of K classes.
    t : array of shape (...) or (..., K)
        Integer labels, or a distribution for each row, whose greatest entry is the label.

    Raises
    ------
    ValueError
        If the shapes do not belong together.
    """
    y, t = np.asarray(y), np.asarray(t)
    if y.ndim == 0 or t.shape not in (y.shape, y.shape[:-1]):
        raise ValueError(
            f"accuracy: y has shape {y.shape} and t {t.shape}, expected (N, K) and (N,) or (N, K)"
        )
    labels = t.argmax(axis=-1) if t.shape == y.shape else t
    return float((y.argmax(axis=-1) == labels).mean())
