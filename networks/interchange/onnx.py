"""Export to ONNX: `to_onnx`, and the table from layers to operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...layers import (
    GELU,
    AddLayer,
    Affine,
    AveragePooling,
    BatchNorm,
    Convolution,
    ConvolutionTranspose,
    Dropout,
    Flatten,
    GlobalAveragePooling,
    GroupNorm,
    Identity,
    LayerNorm,
    LeakyReLU,
    MatMul,
    MaxPooling,
    MulLayer,
    Pad,
    ReLU,
    Repeat,
    Reshape,
    Sigmoid,
    Softmax,
    Softplus,
    Sum,
    Tanh,
)
from ...layers.images.window import Window
from ...layers.nested import map_leaves
from ...layers.tree import layers_of, twin
from ..graph import Graph
from ..parallel.threads import DataParallel
from ..sequential import Branch, Parallel, Sequential
from ..values import Value
from .onnx_graph import OnnxGraph, onnx_operators, pairs

if TYPE_CHECKING:
    from onnx import ModelProto


def to_onnx(net: Any, *example_inputs: Any) -> ModelProto:
    """Return `net` in evaluation mode as an ONNX model.

    Parameters
    ----------
    net : Layer
        The network, which is left as it is.
    *example_inputs : arrays, numbers, or tuples of them
        What `net.forward` takes; one row of real inputs is enough. The model has inputs of these
        dtypes and shapes, with any length of the first axis, the batch.

    Returns
    -------
    onnx.ModelProto
        ``onnx.save(model, "net.onnx")`` writes it. The input is named ``x``, several inputs
        ``x_0``, ``x_1``, or ``x_1_0`` in a tuple; outputs likewise ``y``. Weights have their
        names in `state_dict`.

    Raises
    ------
    ModuleNotFoundError
        If the package onnx is not installed.
    TypeError
        If there is no example input, or a layer, such as a loss, has no counterpart;
        `onnx_operators` shows how to add one.

    Notes
    -----
    The model is of opset 20. float64 stays float64, but onnxruntime 1.31 has no kernels of doubles
    for convolutions, average pooling, GELU, Softplus and recurrent layers: export such
    a net in float32 to run it there.

    A `Graph` is recorded as it ran on the example: a value that its `connect` makes, perhaps of the
    example's number of rows, stays as it was.
    """
    try:
        import onnx  # noqa: F401
    except ModuleNotFoundError:
        message = "to_onnx needs onnx: pip install 'chainrule[onnx]'"
        raise ModuleNotFoundError(message, name="onnx") from None
    if not example_inputs:
        raise TypeError("to_onnx: the inputs are missing; give an example, as to_onnx(net, x[:1])")
    net = twin(net)
    for layer in layers_of(net):
        layer.training = False
    return OnnxGraph(net).model(*example_inputs)


def _operator(op: str) -> Callable[..., Any]:
    """Return what writes a layer that is one operator of its inputs."""
    return lambda layer, graph, *inputs: graph.add(op, *map(graph.real, inputs))


for _kind, _op in {
    MulLayer: "Mul",
    AddLayer: "Add",
    ReLU: "Relu",
    Sigmoid: "Sigmoid",
    Tanh: "Tanh",
    GELU: "Gelu",
    Softplus: "Softplus",
    Flatten: "Flatten",
}.items():
    onnx_operators.register(_kind, _operator(_op))


@onnx_operators.register
def _(layer: Sum, graph: OnnxGraph, x: str) -> Any:
    axes = () if layer.axis is None else (np.atleast_1d(layer.axis).astype(np.int64),)
    return graph.add("ReduceSum", graph.real(x), *axes, keepdims=0)


@onnx_operators.register
def _(layer: Repeat, graph: OnnxGraph, x: str) -> Any:
    times = np.ones(graph.values[x].ndim + 1, np.int64)
    times[layer.axis] = layer.n
    return graph.add("Tile", graph.add("Unsqueeze", graph.real(x), [layer.axis]), times)


@onnx_operators.register
def _(layer: MatMul, graph: OnnxGraph, x: str) -> Any:
    return graph.add("MatMul", graph.real(x), layer.W)


@onnx_operators.register
def _(layer: Affine, graph: OnnxGraph, x: str) -> Any:
    W = graph.add("Transpose", layer.W) if layer.transposed else layer.W
    return graph.add("Add", graph.add("MatMul", graph.real(x), W), layer.b)


@onnx_operators.register
def _(layer: LeakyReLU, graph: OnnxGraph, x: str) -> Any:
    x = graph.real(x)  # not LeakyRelu, whose slope is rounded to float32
    return graph.add("Where", graph.add("Greater", x, 0.0), x, graph.add("Mul", x, layer.slope))


@onnx_operators.register
def _(layer: Softmax, graph: OnnxGraph, x: str) -> Any:
    return graph.add("Softmax", graph.real(x), axis=-1)


@onnx_operators.register(Convolution)
@onnx_operators.register(ConvolutionTranspose)
def _(layer: Convolution | ConvolutionTranspose, graph: OnnxGraph, x: str) -> Any:
    op = "Conv" if isinstance(layer, Convolution) else "ConvTranspose"
    window = _window(layer.window, dilations=layer.window.dilation, group=layer.groups)
    return graph.add(op, graph.real(x), layer.W, layer.b, **window)


@onnx_operators.register
def _(layer: MaxPooling, graph: OnnxGraph, x: str) -> Any:
    x = graph.real(x)
    if graph.maker(x) == "Pad":
        # onnxruntime would fuse the two, and of negative pixels return the greatest, not a zero
        # of the padding. A node between them, which changes nothing, prevents it.
        x = graph.add("Max", x, -np.inf)
    return graph.add("MaxPool", x, **_window(layer.window))


@onnx_operators.register
def _(layer: AveragePooling, graph: OnnxGraph, x: str) -> Any:
    return graph.add("AveragePool", graph.real(x), count_include_pad=1, **_window(layer.window))


@onnx_operators.register
def _(layer: GlobalAveragePooling, graph: OnnxGraph, x: str) -> Any:
    return graph.add("ReduceMean", graph.real(x), [2, 3], keepdims=0)


@onnx_operators.register
def _(layer: Reshape, graph: OnnxGraph, x: str) -> Any:
    return graph.add("Reshape", graph.real(x), [0, *layer.shape])


@onnx_operators.register
def _(layer: Pad, graph: OnnxGraph, x: str) -> Any:
    return graph.add("Pad", graph.real(x), [0, 0, *layer.pad, 0, 0, *layer.pad])


@onnx_operators.register
def _(layer: BatchNorm, graph: OnnxGraph, x: str) -> Any:
    arrays = layer.gamma, layer.beta, layer.running_mean, layer.running_var
    return graph.add("BatchNormalization", graph.real(x), *arrays, epsilon=layer.eps)


@onnx_operators.register
def _(layer: LayerNorm, graph: OnnxGraph, x: str) -> Any:
    xhat = _standardized(graph, graph.real(x), [*range(-layer.gamma.ndim, 0)], layer.eps)
    return graph.add("Add", graph.add("Mul", xhat, layer.gamma), layer.beta)


@onnx_operators.register
def _(layer: GroupNorm, graph: OnnxGraph, x: str) -> Any:
    x = graph.real(x)
    grouped = graph.add("Reshape", x, [0, layer.groups, -1])
    xhat = _standardized(graph, grouped, [-1], layer.eps)
    xhat = graph.add("Reshape", xhat, [0, len(layer.gamma), -1])
    gamma, beta = (graph.add("Unsqueeze", array, [-1]) for array in (layer.gamma, layer.beta))
    y = graph.add("Add", graph.add("Mul", xhat, gamma), beta)
    return graph.add("Reshape", y, graph.add("Shape", x))


@onnx_operators.register
def _(layer: Dropout, graph: OnnxGraph, x: str) -> Any:
    return graph.real(x)


@onnx_operators.register(Identity)
@onnx_operators.register(Branch)
def _(layer: Identity | Branch, graph: OnnxGraph, *inputs: Any) -> Any:
    return layer.forward(*inputs)  # it takes names as it takes any values


@onnx_operators.register
def _(net: Sequential, graph: OnnxGraph, *inputs: Any) -> Any:
    value = inputs if len(inputs) != 1 else inputs[0]
    for layer in net:
        value = graph.write(layer, value)
    return value


@onnx_operators.register
def _(net: DataParallel, graph: OnnxGraph, *inputs: Any) -> Any:
    return graph.write(net.layers, inputs)


@onnx_operators.register
def _(net: Parallel, graph: OnnxGraph, *inputs: Any) -> Any:
    outputs = tuple(map(graph.write, net, inputs))
    return outputs if len(outputs) != 1 else outputs[0]


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


def _window(window: Window, **more: Any) -> dict[str, Any]:
    """Return how ONNX writes a window that moves over images."""
    pads = (*window.before, *window.after)
    return {"kernel_shape": window.size, "strides": window.stride, "pads": pads, **more}


def _standardized(graph: OnnxGraph, x: str, axes: list[int], eps: float) -> str:
    """Write ``(x - mean) / sqrt(var + eps)``, with mean and var over `axes`."""
    centered = graph.add("Sub", x, graph.add("ReduceMean", x, axes))
    var = graph.add("ReduceMean", graph.add("Pow", centered, 2.0), axes)
    return graph.add("Div", centered, graph.add("Sqrt", graph.add("Add", var, eps)))
