"""Evaluation: the loss of all batches as if they were one, and metrics of all rows at once."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ...layers.base import Layer
from ...layers.checks import arguments_of
from ...layers.device import as_numpy
from ...layers.nested import map_leaves
from ...layers.protocols import LayerLike, LossLike
from ...layers.tree import layers_of, twin
from ..gradients import as_result, loss_of
from ..mean_loss import MeanLoss, parts_of, rows_of
from ..parallel.mpi import Ranks
from ..protocols import Metric
from .batches import Batches, cast, home_of, joined, placed
from .metrics import accuracy

Metrics = Sequence[Metric] | Mapping[str, Metric]


def evaluate(
    net: Any,
    loss: Any,
    batches: Batches,
    metrics: Metrics | None = None,
    ranks: Ranks | None = None,
) -> dict[str, float]:
    """Return the loss over all batches, in evaluation mode, and each metric of all their rows.

    The loss is in evaluation mode too; as with `predict`, net and loss are left as they were.
    By default the metric is `accuracy` if the targets are labels, an integer for each row; rows
    that the loss ignores are left out. Each rank runs the net on its rows, rank 0 does the rest.
    """
    ranks, loss = ranks or Ranks(), twin(loss)
    Layer.eval(loss)
    home, mean = home_of(layers_of(net)), MeanLoss()
    named = by_name(batches.caller, metrics if metrics is not None else ())
    outputs: list[Any] = []
    targets: list[Any] = []

    def run() -> None:
        nonlocal named
        for x, t, weights in batches.shared(ranks.share).once():
            x, (t, weights) = cast(x, home), placed((t, weights), home)
            y = net.predict(*x) if isinstance(x, tuple) else net.predict(x)
            value, rows = loss_of(loss, y, t, weights), rows_of(t)
            mean.add(parts_of(loss, value, rows), value, rows)
            if metrics is None and _are_labels(y, t):
                y, t = y.reshape(-1, y.shape[-1]), t.reshape(-1)  # batches of sequences may differ
                ignored = getattr(loss, "ignore_index", None)
                named = {"accuracy": partial(accuracy, ignore_index=ignored)}
            if named:
                outputs.append(map_leaves(as_numpy, y))
                targets.append(map_leaves(as_numpy, t))

    ranks.together(run)
    gathered = ranks.gather((mean.sums, outputs, targets))

    def found() -> dict[str, float]:
        whole = MeanLoss()
        for sums, _, _ in gathered:
            whole.join(sums)
        if not named:
            return whole.values()
        y, t = (_all_rows([part for found in gathered for part in found[k]]) for k in (1, 2))
        return whole.values() | {
            n: as_result(f"metric {n}", metric(y, t)) for n, metric in named.items()
        }

    return ranks.first(found)


def try_evaluation(
    net: LayerLike, loss: LossLike, batches: Batches, metrics: Metrics | None
) -> list[str] | None:
    """Return the names that `evaluate` would return, or raise its error, found on two rows.

    None means unknown, since an iterable may run only once. A metric may need more rows, such as
    some of every class: it fails only if it fails on all rows.
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


def _all_rows(parts: list[Any]) -> Any:
    try:
        return joined(parts)
    except ValueError as error:
        error.add_note("a metric is evaluated on all rows at once, so batches must have one shape")
        raise


def by_name(caller: str, metrics: Any) -> dict[str, Any]:
    """Return the metrics, a sequence or dict of functions, by their names."""
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
                "give them different names: metrics={name: metric, ...}"
            )
        if [p.name for p in arguments_of(metric)[:1]] == ["y_true"]:
            raise TypeError(
                f"{caller}: the metric {name!r} takes the targets first, as scikit-learn's do; "
                f"write metrics={{{name!r}: lambda y, t: {_name(metric)}(t, y)}}"
            )
        named[name] = metric
    return named


def _name(metric: Any) -> str:
    metric = getattr(metric, "func", metric)  # of a functools.partial
    return getattr(metric, "__name__", type(metric).__name__)
