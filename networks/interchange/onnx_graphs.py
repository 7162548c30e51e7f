"""The row of the table of `to_onnx` for nets of any shape."""

from __future__ import annotations

from typing import Any

from ...layers.nested import map_leaves
from ..graph import Graph
from ..values import Value
from .onnx_graph import OnnxGraph, onnx_operators, pairs


@onnx_operators.register
def _(net: Graph, graph: OnnxGraph, *inputs: Any) -> Any:
    names = {id(value): name for value, name in pairs(net.given, inputs)}

    def name(value: Value) -> str:
        if id(value) not in names:  # made in connect
            names[id(value)] = graph.constant(value.data)
        return names[id(value)]

    for call in net.stack.calls:  # of the forward on the example inputs
        out = graph.write(call.layer, map_leaves(name, call.inputs))
        names |= {id(value): name for value, name in pairs(call.output, out)}
    return map_leaves(name, net.result)
