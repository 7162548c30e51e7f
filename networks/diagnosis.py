"""Where a NaN or an infinite value came from: asked only once the loss is not finite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..layers._parts import places, title
from .batching import nonfinite
from .network import Network


def culprit(net: Any, x: Any, t: Any) -> str:
    """Say what first became NaN or infinite: the batch, a parameter, a layer's output, the loss."""
    for name, array in (("x", x), ("t", t)):
        if found := nonfinite(np.asarray(array)):
            return f"the batch itself is not finite: {name}{found}"
    layers = dict(places(net)) if isinstance(net, Network) else {"": net}
    return (
        _parameters(layers)
        or _first_output(net, layers, x)
        or "all layers gave finite values, so it arose in the loss"
    )


def _parameters(layers: dict[str, Any]) -> str:
    """Find what the step before spoilt; a bad gradient flows back, so look from the end."""
    for place, layer in reversed(layers.items()):
        if isinstance(layer, Network):
            continue
        for k, param in enumerate(getattr(layer, "params", [])):
            if found := nonfinite(param):
                name = layer.param_names[k] if hasattr(layer, "param_names") else f"parameter {k}"
                return f"before the step already, {name}{found} in {_where(place, layer)}"
    return ""


def _first_output(net: Any, layers: dict[str, Any], x: Any) -> str:
    """Run forward once more and watch the layers."""
    found: list[str] = []

    def watched(place: str, layer: Any, forward: Callable[..., Any]) -> Callable[..., Any]:
        def run(*inputs: Any) -> Any:
            out = forward(*inputs)
            for value in out if isinstance(out, tuple) else (out,):
                if not found and (bad := nonfinite(np.asarray(value))):
                    found.append(f"it first appeared in {_where(place, layer)}: its output{bad}")
            return out

        return run

    leaves = [(p, layer) for p, layer in layers.items() if not isinstance(layer, Network)]
    for place, layer in leaves:
        layer.forward = watched(place, layer, layer.forward)
    try:
        with np.errstate(all="ignore"):
            net.forward(x)
    finally:
        for _, layer in leaves:
            del layer.forward
    return found[0] if found else ""


def _where(place: str, layer: Any) -> str:
    return f"layer {place}, {title(layer)}" if place else title(layer)
