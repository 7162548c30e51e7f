"""Watch what flows through the layers of a net, for one run of a copy."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

from ..layers.protocols import LayerLike
from ..layers.tree import walk

See = Callable[[str, Any], None]  # place of the layer, and the value


def watch(net: LayerLike, out: See, dout: See | None = None) -> None:
    """Show each layer's output to `out`, and the gradient that comes back to it to `dout`.

    It changes the net, which must be a copy. A net in threads runs in this one, all rows at once.
    """
    for _, layer in walk(net):
        if hasattr(layer, "threads"):
            layer.threads = 1
    for place, layer in dict(walk(net)).items():  # a DataParallel has the place of its net
        if hasattr(layer, "__dict__"):
            _watch(place, layer, out, dout)


def _watch(place: str, layer: Any, out: See, dout: See | None) -> None:
    kind = type(layer)

    def forward(self: Any, *inputs: Any, **options: Any) -> Any:
        value = kind.forward(self, *inputs, **options)
        out(place, value)
        return value

    def backward(self: Any, gradient: Any) -> Any:
        if dout is not None:
            dout(place, gradient)
        return kind.backward(self, gradient)

    # methods, so that a copy that the function stack makes runs itself
    layer.forward, layer.backward = MethodType(forward, layer), MethodType(backward, layer)
