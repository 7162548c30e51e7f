"""Gradient flow: the norms of values and gradients layer by layer, to see them vanish."""

from __future__ import annotations

import copy
import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...layers.nested import leaves
from ...layers.protocols import LayerLike, LossLike
from ...layers.tree import label, own_params, parts, walk
from ..gradients import loss_of
from ..network import call
from ..watch import watch
from .batches import as_array
from .figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def gradient_flow(net: LayerLike, loss: LossLike, x: Any, t: Any) -> GradientFlow:
    """Run one step forward and backward, and record the norms of what passes each layer.

    It runs on a copy, in the net's mode; net, loss and Generators stay as they are.

    Parameters
    ----------
    net : Layer
        The net; a tuple x is spread into its arguments.
    loss : Layer
        A layer of two inputs.
    x, t : arrays or nested tuples of arrays
        One batch.

    Returns
    -------
    GradientFlow
        Its ``rows``, one per layer that has no parts or has parameters of its own; it prints as a
        table and has ``plot()``.
    """
    net, loss = copy.deepcopy((net, loss))
    layers = {p: layer for p, layer in walk(net) if not parts(layer) or own_params(layer)}
    squares = {place: {"output": 0.0, "dout": 0.0} for place in layers}

    def add(what: str, place: str, value: Any) -> None:
        if place in squares:
            squares[place][what] += _square(value)

    watch(net, partial(add, "output"), partial(add, "dout"))
    y = call(net, x)
    loss_of(loss, y, t)
    net.backward(loss.backward(1.0))
    rows = []
    for place, layer in layers.items():
        row: dict[str, Any] = {"place": place or "net", "layer": label(layer)}
        row |= {name: math.sqrt(value) for name, value in squares[place].items()}
        if own_params(layer):
            names = getattr(layer, "param_names", None)
            grads = layer.grads if names is None else [getattr(layer, "d" + n) for n in names]
            row["gradient"] = math.sqrt(sum(map(_square, grads)))
        rows.append(row)
    return GradientFlow(rows)


class GradientFlow:
    """The Euclidean norms of each layer's output, ``dout`` and parameter gradients.

    Attributes
    ----------
    rows : list of dict
        With ``place``, ``layer``, ``output``, ``dout``, and ``gradient`` where there are
        parameters, in the order of the net.
    """

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def __repr__(self) -> str:
        lines = [f"{'':<8} {'layer':<32} {'output':>10} {'dout':>10} {'gradient':>10}"]
        for row in self.rows:
            numbers = (row.get(name) for name in ("output", "dout", "gradient"))
            cells = " ".join(f"{'' if n is None else f'{n:.3g}':>10}" for n in numbers)
            lines.append(f"{row['place']:<8} {row['layer']:<32.32} {cells}")
        return "\n".join(lines)

    def plot(self) -> Figure:
        """Draw the norms, on a logarithmic scale, over the layers; Jupyter shows the figure."""
        figure = new_figure("GradientFlow.plot", 7, 3.5)
        axes = figure.subplots()
        for name in ("output", "dout", "gradient"):
            found = [(k, row[name]) for k, row in enumerate(self.rows) if row.get(name)]
            if found:
                axes.plot(*zip(*found, strict=True), marker="o", label=f"norm of {name}")
        axes.set_yscale("log")
        axes.set_xticks(range(len(self.rows)), [row["place"] for row in self.rows], fontsize=7)
        axes.set(xlabel="layer", ylabel="norm")
        axes.legend()
        return figure


def _square(value: Any) -> float:
    arrays = (as_array(leaf) for _, leaf in leaves(value) if leaf is not None)
    return sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays)
