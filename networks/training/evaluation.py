"""Evaluation: the loss of all batches as if they were one, and metrics of all rows at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ...layers import SumLoss
from ...layers.device import as_numpy
from ...layers.nested import map_leaves
from ..gradients import as_result, loss_of
from .batches import Batches, cast, home_of, joined, placed, rows_of
from .metrics import accuracy

Metric = Callable[[Any, Any], float]
Metrics = Sequence[Metric] | Mapping[str, Metric]


def evaluate(
    net: Any, loss: Any, batches: Batches, metrics: Metrics | None = None
) -> dict[str, float]:
    """Return the loss over all batches, in evaluation mode, and each metric of all their rows.

    By default the metric is `accuracy` where the targets are labels, an integer for each row; rows
    that the loss ignores are left out.
    """
    home, mean = home_of(net), MeanLoss()
    named = by_name(batches.caller, metrics if metrics is not None else ())
    outputs: list[Any] = []
    targets: list[Any] = []
    for x, t, weights in batches.once():
        x, (t, weights) = cast(x, home), placed((t, weights), home)
        y = net.predict(*x) if type(x) is tuple else net.predict(x)
        mean.add(loss, loss_of(loss, y, t, weights), rows_of(t))
        if metrics is None and _are_labels(y, t):
            y, t = y.reshape(-1, y.shape[-1]), t.reshape(-1)  # batches of sequences may differ
            named = {"accuracy": partial(accuracy, ignore_index=_ignored(loss))}
        if named:
            outputs.append(map_leaves(as_numpy, y))
            targets.append(map_leaves(as_numpy, t))
    found = mean.values()
    if named:
        y, t = _all_rows(outputs), _all_rows(targets)
        found |= {n: as_result(f"metric {n}", metric(y, t)) for n, metric in named.items()}
    return found


def try_evaluation(
    net: Any, loss: Any, batches: Batches, metrics: Metrics | None
) -> list[str] | None:
    """Return the names that `evaluate` would give, or raise what it would, seen on two rows.

    None says that one cannot know, since an iterable may run only once.

    A metric may need more of them, such as rows of every class: only if all rows fail it counts.
    """
    few = batches.few()
    if few is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return list(evaluate(net, loss, few, metrics))
        except Exception:
            if not metrics:
                raise
            return list(evaluate(net, loss, batches, metrics))


def _are_labels(y: Any, t: Any) -> bool:
    if isinstance(y, tuple) or getattr(getattr(t, "dtype", None), "kind", "") not in ("i", "u"):
        return False
    shape = np.shape(y)
    return len(shape) > 1 and shape[-1] > 1 and np.shape(t) == shape[:-1]


def _ignored(loss: Any) -> Any:
    return getattr(loss, "ignore_index", None)


def _all_rows(parts: list[Any]) -> Any:
    try:
        return joined(parts)
    except ValueError as error:
        error.add_note("a metric is of all rows at once, so that batches must fit together")
        raise


def by_name(caller: str, metrics: Any) -> dict[str, Any]:
    """Return the metrics by their names.

    Raises
    ------
    TypeError
        If it is no sequence or dict of functions.
    ValueError
        If two have one name, or one that of the loss.
    """
    is_dict = isinstance(metrics, Mapping)
    functions = list(metrics.values()) if is_dict else metrics
    if not (isinstance(functions, Sequence) and all(map(callable, functions))):
        raise TypeError(
            f"{caller}: metrics is {metrics!r:.60}, expected a list of functions metric(y, t)"
        )
    named: dict[str, Any] = {}
    for name, metric in metrics.items() if is_dict else ((_name(m), m) for m in functions):
        if name == "loss" or name in named:
            raise ValueError(
                f"{caller}: {name!r} names two metrics, or the loss and a metric; "
                "give each a name of its own: metrics={name: metric, ...}"
            )
        named[name] = metric
    return named


def _name(metric: Any) -> str:
    metric = getattr(metric, "func", metric)  # of a functools.partial
    return getattr(metric, "__name__", type(metric).__name__)


class MeanLoss:
    """The loss of several batches as if they were one: ``sum(loss * total) / sum(total)``.

    ``total`` is what the loss divided by; a sum is added up, and a loss without ``total`` counts by
    its rows. A `SumLoss` is put together from the means of its parts, each with its own totals.

    Parameters
    ----------
    sums : list of [float, float, float], optional
        Go on from these: for each part what it counts, the sum and the sum of the totals, which
        is 0 for a loss that is added up.
    """

    def __init__(self, sums: list[list[float]] | None = None) -> None:
        self.sums = [] if sums is None else sums

    def add(self, loss: Any, value: float, rows: int) -> None:
        """Add a batch whose loss has just been computed; `value` may hold a penalty beside it."""
        parts = _parts(loss, value, rows)
        if len(parts) > 1:  # of a SumLoss; a penalty is what is more
            rest = value - sum(factor * part for factor, part, _ in parts)
            parts.append((1.0, rest, float(rows)))
        if not self.sums:
            self.sums += [[factor, 0.0, 0.0] for factor, _, _ in parts]
        for entry, (_, part, total) in zip(self.sums, parts, strict=True):
            entry[1] += part if total is None else part * total
            entry[2] += total or 0.0

    def values(self) -> dict[str, float]:
        """Return the ``loss``, and ``loss_0``, ``loss_1``, ... of the parts of a `SumLoss`."""
        means = [part / total if total else part for _, part, total in self.sums]
        if len(means) == 1:
            return {"loss": means[0]}
        factors = [factor for factor, _, _ in self.sums]
        loss = sum(f * mean for f, mean in zip(factors, means, strict=True))
        return {"loss": loss} | {f"loss_{k}": mean for k, mean in enumerate(means[:-1])}


def _parts(loss: Any, value: float, rows: int) -> list[tuple[float, float, float | None]]:
    """Return for each part of a loss what it counts, its latest value, and what that is over."""
    if isinstance(loss, SumLoss):
        return [
            (factor * f, part, total)
            for factor, inner, v in zip(loss.weights, loss.losses, loss.values, strict=True)
            for f, part, total in _parts(inner, v, rows)
        ]
    if getattr(loss, "reduction", "mean") != "mean":
        return [(1.0, value, None)]
    return [(1.0, value, float(getattr(loss, "total", rows)))]
