"""Find where a NaN or an infinite value came from, once the loss is not finite."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ...layers.protocols import LayerLike
from ...layers.tree import label, state, walk
from ..network import call
from ..watch import watch
from .batches import as_array, nonfinite


def find_nonfinite(net: LayerLike, x: Any, t: Any) -> str:
    """Return what first became NaN or infinite: the batch, a parameter, a layer's output, the loss.

    A copy of the net runs forward once more; the net stays as it is.
    """
    try:
        if found := _nonfinite("x", x) or _nonfinite("t", t):
            return f"the batch itself is not finite: {found}"
        net = copy.deepcopy(net)
        layers = dict(walk(net))
        return (
            _parameter(layers)
            or _first_output(net, layers, x)
            or "the outputs of all layers are finite, so it arose in the loss"
        )
    except Exception as error:  # which must not hide that the loss is not finite
        return f"the search for its origin failed: {type(error).__name__}: {error}"


def _parameter(layers: dict[str, Any]) -> str:
    """Find a parameter that the previous step made so, from the end: a bad gradient flows back."""
    for place, layer in reversed(layers.items()):
        for name, array in state(layer).items():
            if found := _nonfinite(name, array):
                return f"already before the step, {found} in {_where(place, layer)}"
    return ""


def _first_output(net: LayerLike, layers: dict[str, Any], x: Any) -> str:
    """Run forward and watch the layers."""
    found: list[str] = []

    def look(place: str, out: Any) -> None:
        if bad := _nonfinite("its output", out):
            found.append(f"it first appeared in {_where(place, layers[place])}: {bad}")

    watch(net, look)
    with np.errstate(all="ignore"):
        call(net, x)
    return found[0] if found else ""


def _nonfinite(name: str, value: Any) -> str:
    """Say where in an array, a number or nested tuples of them, or return ``""``."""
    if isinstance(value, tuple):
        parts = (_nonfinite(f"{name}[{i}]", part) for i, part in enumerate(value))
        return next(filter(None, parts), "")
    found = nonfinite(as_array(value))
    return found and name + found


def _where(place: str, layer: LayerLike) -> str:
    return f"layer {place}, {label(layer)}" if place else label(layer)
