"""The rows of the table of `to_onnx` for layers of sequences and those that join values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...layers import (
    GRU,
    LSTM,
    RNN,
    Attention,
    Concatenate,
    Embedding,
    GaussianKL,
    GaussianSample,
    PositionalEmbedding,
    Reverse,
    SelfAttention,
    Slice,
)
from .onnx_graph import OnnxGraph, onnx_operators

END = np.iinfo(np.int64)  # beyond either end of an axis


@onnx_operators.register
def _(layer: Embedding, graph: OnnxGraph, x: str) -> Any:
    return graph.add("Gather", layer.W, graph.cast(x, np.int64))


@onnx_operators.register
def _(layer: PositionalEmbedding, graph: OnnxGraph, x: str) -> Any:
    steps = graph.values[x].shape[1]
    return graph.add("Add", graph.real(x), graph.add("Slice", layer.W, [0], [steps], [0]))


@onnx_operators.register
def _(layer: RNN, graph: OnnxGraph, x: str, *states: str) -> Any:
    return _recurrent("RNN", layer, graph, x, states, [0])


@onnx_operators.register
def _(layer: LSTM, graph: OnnxGraph, x: str, *states: str) -> Any:
    return _recurrent("LSTM", layer, graph, x, states, [0, 3, 1, 2])  # i, o, f, g


@onnx_operators.register
def _(layer: GRU, graph: OnnxGraph, x: str, *states: str) -> Any:
    order = [1, 0, 2]  # z, r, n
    return _recurrent("GRU", layer, graph, x, states, order, linear_before_reset=1)


@onnx_operators.register
def _(layer: Attention, graph: OnnxGraph, q: str, k: str, v: str, mask: str = "") -> Any:
    axes, size = graph.values[q].ndim, graph.values[q].shape[-1]
    return _attention(graph, graph.real(q), graph.real(k), graph.real(v), size, axes, mask)


@onnx_operators.register
def _(layer: SelfAttention, graph: OnnxGraph, x: str, valid: str = "") -> Any:
    D, steps = len(layer.W), graph.values[x].shape[1]
    a = graph.add("Add", graph.add("MatMul", graph.real(x), layer.W), layer.b)
    a = graph.add("Reshape", a, [0, 0, 3, layer.heads, D // layer.heads])
    a = graph.add("Transpose", a, perm=[2, 0, 3, 1, 4])
    q, k, v = (graph.add("Gather", a, i, axis=0) for i in range(3))
    mask: Any = np.tri(steps, dtype=bool) if layer.causal else ""
    if valid:
        seen = graph.add("Unsqueeze", valid, [1, 2])
        mask = graph.add("And", seen, mask) if layer.causal else seen
    y = _attention(graph, q, k, v, D // layer.heads, 4, mask)
    y = graph.add("Reshape", graph.add("Transpose", y, perm=[0, 2, 1, 3]), [0, 0, D])
    return graph.add("Add", graph.add("MatMul", y, layer.Wo), layer.bo)


@onnx_operators.register
def _(layer: Concatenate, graph: OnnxGraph, *xs: str) -> Any:
    return graph.add("Concat", *map(graph.real, xs), axis=layer.axis)


@onnx_operators.register
def _(layer: Slice, graph: OnnxGraph, x: str) -> Any:
    index = layer.index
    if Ellipsis not in index:
        index = (*index, ...)
    left = index.index(...)
    rest = graph.values[x].ndim - (len(index) - 1)
    index = (*index[:left], *(slice(None) for _ in range(rest)), *index[left + 1 :])
    bounds: list[tuple[int, int, int]] = []
    for part in index:
        if isinstance(part, slice):
            step = 1 if part.step is None else part.step
            first, last = (0, END.max) if step > 0 else (END.max, END.min)
            start = first if part.start is None else part.start
            bounds.append((start, last if part.stop is None else part.stop, step))
        elif isinstance(part, int):
            bounds.append((part, part + 1 if part != -1 else END.max, 1))
    starts, stops, steps = map(list, zip(*bounds, strict=True))
    x = graph.add("Slice", x, starts, stops, [*range(len(index))], steps)
    gone = [axis for axis, part in enumerate(index) if not isinstance(part, slice)]
    return graph.add("Squeeze", x, gone) if gone else x


@onnx_operators.register
def _(layer: Reverse, graph: OnnxGraph, x: str) -> Any:
    return graph.add("Slice", x, [END.max], [END.min], [1], [-1])


@onnx_operators.register
def _(layer: GaussianSample, graph: OnnxGraph, mean: str, log_var: str) -> Any:
    return graph.real(mean)


@onnx_operators.register
def _(layer: GaussianKL, graph: OnnxGraph, mean: str, log_var: str) -> Any:
    mean, log_var = graph.real(mean), graph.real(log_var)
    expm1 = graph.add("Sub", graph.add("Exp", log_var), 1.0)
    terms = graph.add("Add", graph.add("Mul", mean, mean), graph.add("Sub", expm1, log_var))
    return graph.add("Mul", graph.add("ReduceSum", terms, [1], keepdims=0), 0.5)


def _recurrent(
    op: str,
    layer: Any,
    graph: OnnxGraph,
    x: str,
    states: tuple[str, ...],
    order: list[int],
    **attributes: Any,
) -> Any:
    """Write a recurrent operator, with the gates in ONNX's `order`.

    Its arrays have an axis for directions, here one, and a row for each unit of each gate.
    """
    H = len(layer.Wh)
    names = ("Wx", "Wh", *layer.bias_names)
    arrays = [graph.add("Transpose", getattr(layer, name)) for name in names]
    if len(order) > 1:
        places = np.concatenate([np.arange(H) + gate * H for gate in order])
        arrays = [graph.add("Gather", rows, places) for rows in arrays]
    Wx, Wh, *biases = arrays
    bx, bh = biases if len(biases) == 2 else (*biases, np.zeros(len(order) * H))
    b = graph.add("Concat", bx, bh, axis=0)
    Wx, Wh, b = (graph.add("Unsqueeze", array, [0]) for array in (Wx, Wh, b))
    inputs = [graph.add("Transpose", graph.real(x), perm=[1, 0, 2]), Wx, Wh, b]
    if states:
        inputs += ["", *(graph.add("Unsqueeze", graph.real(state), [0]) for state in states)]
    outputs = 3 if op == "LSTM" else 2
    hs, *last = graph.add(op, *inputs, outputs=outputs, hidden_size=H, **attributes)
    hs = graph.add("Transpose", graph.add("Squeeze", hs, [1]), perm=[1, 0, 2])
    if not layer.return_state:
        return hs
    return hs, *(graph.add("Squeeze", state, [0]) for state in last)


def _attention(graph: OnnxGraph, q: str, k: str, v: str, size: int, axes: int, mask: Any) -> str:
    """Write ``softmax(q @ k.T / sqrt(size)) @ v``; a query that sees nothing gets 0."""
    kT = graph.add("Transpose", k, perm=[*range(axes - 2), axes - 1, axes - 2])
    # Not by one number, which onnxruntime fuses into the product and rounds to float32.
    q = graph.add("Mul", q, np.full(size, 1 / math.sqrt(size)))
    s = graph.add("MatMul", q, kT)
    if isinstance(mask, str) and not mask:
        p = graph.add("Softmax", s, axis=-1)
    else:  # softmax is NaN where all are -inf
        p = graph.add("Softmax", graph.add("Where", mask, s, -np.inf), axis=-1)
        p = graph.add("Where", mask, p, 0.0)
    return graph.add("MatMul", p, v)
