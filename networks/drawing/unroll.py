"""A net run as single calls on a function stack, so that every value of it can be seen."""

from __future__ import annotations

from typing import Any

from ...layers import Identity
from ..function_stack import FunctionStack
from ..graph import Graph, connected
from ..sequential import Branch, Parallel, Sequential


class Unrolled(FunctionStack):
    """A function stack on which nets are pushed layer by layer, but within `depth` nets as one."""

    def __init__(self, depth: int | None) -> None:
        super().__init__()
        self.depth, self.level = depth, 0

    def push(self, layer: Any, *values: Any) -> Any:
        """Push the layers of a net instead of the net itself."""
        inputs = values[0] if len(values) == 1 and isinstance(values[0], tuple) else values
        kind = next((kind for kind in _WAYS if _is_plainly(layer, kind)), None)
        folded = self.depth is not None and self.level >= self.depth
        if kind is None or (folded and kind not in (Branch, Identity)):
            return super().push(layer, inputs)
        self.level += 1
        out = _WAYS[kind](layer, self, inputs)
        self.level -= 1
        return out


def _sequential(net: Any, stack: Unrolled, inputs: Any) -> Any:
    value = inputs if len(inputs) != 1 else inputs[0]
    for layer in net.layers:
        value = stack.push(layer, value)
    return value


def _parallel(net: Any, stack: Unrolled, inputs: Any) -> Any:
    outs = [stack.push(layer, value) for layer, value in zip(net.layers, inputs, strict=True)]
    return tuple(outs) if len(outs) != 1 else outs[0]


def _passing(layer: Any, stack: Unrolled, inputs: Any) -> Any:
    return layer.forward(*inputs)  # it takes values of a stack as it takes any


_WAYS = {
    Sequential: _sequential,
    Parallel: _parallel,
    Branch: _passing,
    Identity: _passing,
    Graph: connected,
}


def _is_plainly(layer: Any, kind: type) -> bool:
    """Whether it runs as `kind` does: no subclass with a forward or backward of its own."""
    return isinstance(layer, kind) and all(
        getattr(type(layer), name) is getattr(kind, name) for name in ("forward", "backward")
    )
