"""The loss of several batches as if they were one."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers import SumLoss
from ..layers.nested import leaves

Part = tuple[float, float, float | None]


class MeanLoss:
    """The loss of several batches as if they were one: ``sum(loss * total) / sum(total)``.

    ``total`` is what the loss was divided by; a loss with reduction "sum" is added up, and a loss
    without ``total`` is weighted by its rows. A `SumLoss` is the sum of the means of its parts,
    each with its own totals.

    Parameters
    ----------
    sums : list of [float, float, float], optional
        Continue from these: for each part its factor, the sum and the sum of the totals, which is
        0 for a loss that is added up.
    """

    def __init__(self, sums: list[list[float]] | None = None) -> None:
        self.sums = [] if sums is None else sums

    def add(self, parts: list[Part], value: float, rows: int) -> None:
        """Add a batch, given `parts_of` its loss; `value` may include a penalty."""
        if len(parts) > 1:  # of a SumLoss; the rest is the penalty
            rest = value - sum(factor * part for factor, part, _ in parts)
            parts = [*parts, (1.0, rest, float(rows))]
        else:
            parts = [(factor, value, total) for factor, _, total in parts]
        self.join([[f, p if n is None else p * n, n or 0.0] for f, p, n in parts])

    def join(self, sums: list[list[float]]) -> None:
        """Add the sums of another."""
        if not self.sums:
            self.sums += [[factor, 0.0, 0.0] for factor, _, _ in sums]
        for entry, (_, part, total) in zip(self.sums if sums else (), sums, strict=True):
            entry[1] += part
            entry[2] += total

    def values(self) -> dict[str, float]:
        """Return the ``loss``, and ``loss_0``, ``loss_1``, ... of the parts of a `SumLoss`."""
        means = [part / total if total else part for _, part, total in self.sums]
        if len(means) == 1:
            return {"loss": means[0]}
        factors = [factor for factor, _, _ in self.sums]
        loss = sum(f * mean for f, mean in zip(factors, means, strict=True))
        return {"loss": loss} | {f"loss_{k}": mean for k, mean in enumerate(means[:-1])}


def parts_of(loss: Any, value: float, rows: int) -> list[Part]:
    """Return for each part of a loss its factor, its latest value, and that value's `total`.

    The total is what the part's mean was divided by, None for a sum. With no rows, for which no
    loss was computed, both are 0.
    """
    if isinstance(loss, SumLoss):
        values = loss.values if rows else (0.0,) * len(loss.losses)
        return [
            (factor * f, part, total)
            for factor, inner, v in zip(loss.weights, loss.losses, values, strict=True)
            for f, part, total in parts_of(inner, v, rows)
        ]
    if getattr(loss, "reduction", "mean") != "mean":
        return [(1.0, value, None)]
    return [(1.0, value, float(getattr(loss, "total", rows)) if rows else 0.0)]


def rows_of(value: Any) -> int:
    """Return the number of rows of a batch's targets; a number alone is one row."""
    _, first = next(leaves(value))
    return len(first) if np.ndim(first) else 1
