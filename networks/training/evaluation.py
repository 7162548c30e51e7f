"""Metrics, functions ``metric(y, t)`` of a batch that return a float, and evaluation by them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...layers.base import Array
from ..gradients import as_result, loss_of
from .arguments import by_name
from .batches import Batches, cast, dtype_of

Metric = Callable[[Array, Array], float]


def accuracy(y: Array, t: Array) -> float:
    """Share of the rows whose greatest entry stands at the label.

    Parameters
    ----------
    y : array of shape (N, K) or (..., K)
        Logits, probabilities or scores of K classes, at least two.
    t : array of shape (N,) or (...), or of that of y
        Integer labels, or a distribution for each row, whose greatest entry is the label.

    Raises
    ------
    ValueError
        If the shapes do not belong together, or there is one column: where two classes part,
        at 0 or at 0.5, only you know.
    """
    y, t = np.asarray(y), np.asarray(t)
    if y.ndim < 2 or y.shape[-1] < 2 or t.shape not in (y.shape, y.shape[:-1]):
        raise ValueError(
            f"accuracy: y has shape {y.shape} and t {t.shape}, expected (N, K) and (N,) or (N, K) "
            "with K at least 2; for one column of logits, and t of its shape, write a metric of "
            "your own: np.mean((y > 0) == t)"
        )
    labels = t.argmax(axis=-1) if t.shape == y.shape else t
    return float((y.argmax(axis=-1) == labels).mean())


def evaluate(
    net: Any, loss: Any, batches: Batches, metrics: Sequence[Metric] | None = None
) -> dict[str, float]:
    """Return the loss over all batches, in evaluation mode, and each metric's mean over the rows.

    By default the metric is `accuracy` where the targets are labels, an integer for each row.
    """
    total, rows, sums, dtype = 0.0, 0, dict[str, float](), dtype_of(net)
    named = by_name(batches.caller, metrics or ())
    for x, t in batches.once():
        y = net.predict(cast(x, dtype))
        if metrics is None and rows == 0:
            labels = t.dtype.kind in "iu" and np.ndim(y) > 1 and t.shape == y.shape[:-1]
            named = {"accuracy": accuracy} if labels and y.shape[-1] > 1 else {}
        n = len(t) if t.ndim else 1
        rows += n
        total += loss_of(loss, y, t) * (n if averages(loss) else 1)
        for name, metric in named.items():
            sums[name] = sums.get(name, 0.0) + as_result(f"metric {name}", metric(y, t)) * n
    return {
        "loss": total / rows if averages(loss) else total,
        **{name: value / rows for name, value in sums.items()},
    }


def averages(loss: Any) -> bool:
    """Whether the loss of a batch is a mean over its rows, not a sum."""
    return getattr(loss, "reduction", "mean") == "mean"
