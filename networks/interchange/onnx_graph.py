"""The ONNX graph that `to_onnx` writes: nodes, weights, and the example value of each name."""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

from ...layers.base import Array
from ...layers.nested import leaves, map_leaves, replaced
from ...layers.tree import label, state, walk
from ..network import call

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, ValueInfoProto

OPSET, IR_VERSION = 20, 9  # of ONNX 1.15, 2023


@singledispatch
def onnx_operators(layer: Any, graph: OnnxGraph, *inputs: Any) -> Any:
    """Write the operators of a layer to the graph.

    The table of `to_onnx`: one function for each class of layers. ``onnx_operators.register`` adds
    one for a layer of your own.

    Parameters
    ----------
    layer : Layer
        The layer, whose class selects the function.
    graph : OnnxGraph
        The graph.
    *inputs : str or tuple of str
        Names of the inputs.

    Returns
    -------
    str or tuple of str
        Name of the output.

    Raises
    ------
    TypeError
        If no function is registered for the class.

    Examples
    --------
    >>> from chainrule.layers import Layer
    >>> class Swish(Layer):
    ...     param_names = ("a",)
    ...
    ...     def __init__(self, a):
    ...         self.a = np.asarray(a)
    ...
    ...     def forward(self, x):
    ...         return x / (1 + np.exp(-self.a * x))
    >>> @onnx_operators.register
    ... def _(layer: Swish, graph, x):
    ...     return graph.add("Mul", x, graph.add("Sigmoid", graph.add("Mul", layer.a, x)))
    """
    place = f" at {graph.place}" if graph.place else ""
    raise TypeError(
        f"to_onnx: {label(layer)}{place} has no counterpart in ONNX; to give it one, register a "
        f"function (layer: {type(layer).__name__}, graph, x) with onnx_operators.register"
    )


class OnnxGraph:
    """The nodes and weights of an ONNX graph while it is written.

    Parameters
    ----------
    net : Layer
        The network, in evaluation mode; it is run on the example inputs layer by layer.

    Attributes
    ----------
    values : dict
        The example, array or number, of each input and output of a layer, by name.
    dtype : numpy.dtype
        Dtype of the output of the layer that is being written.
    place : str
        The layer's place in the network, such as ``0.block``.
    """

    def __init__(self, net: Any) -> None:
        self.net = net
        self.nodes: list[NodeProto] = []
        self.weights: dict[str, Array] = {}
        self.values: dict[str, Any] = {}
        self.dtype, self.place = np.dtype(np.float64), ""
        self._places = {id(layer): place for place, layer in walk(net)}
        self._state: dict[int, str] = {}
        for name, array in state(net).items():
            self._state.setdefault(id(array), name)  # a shared array has its first name
        self._taken = set(self._state.values())

    def write(self, layer: Any, value: Any) -> Any:
        """Write a layer.

        Parameters
        ----------
        layer : Layer
            The layer.
        value : str or tuple of str
            Name of its input, or of its inputs.

        Returns
        -------
        str or tuple of str
            Name of its output.
        """
        outer = self.place, self.dtype
        self.place = self._places.get(id(layer), self.place)
        try:
            _refuse_other_forward(layer)
            example = call(layer, map_leaves(self.values.__getitem__, value))
            self.dtype = np.result_type(*(np.asarray(leaf) for _, leaf in leaves(example)))
            out = onnx_operators(layer, self, *(value if isinstance(value, tuple) else (value,)))
        finally:
            self.place, self.dtype = outer
        self.values |= dict(pairs(out, example))
        return out

    def add(self, op: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node.

        Parameters
        ----------
        op : str
            Name of the operator, such as "MatMul".
        *inputs : str, array, number or list of int
            Names of values, ``""`` for one that is left out; arrays become weights, under their
            state names where they have one, of the dtype of the layer's output.
        outputs : int, default 1
            Number of outputs.
        **attributes
            Those of the operator.

        Returns
        -------
        str or tuple of str
            Name of the output, or a tuple of several.
        """
        from onnx import helper

        inputs = tuple(part if isinstance(part, str) else self._weight(part) for part in inputs)
        names = [self._new(op) for _ in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=names[0], **attributes))
        return tuple(names) if outputs > 1 else names[0]

    def real(self, x: str) -> str:
        """Convert a value to the dtype of the layer's output, as `Layer.as_input` does integers.

        Parameters
        ----------
        x : str
            Name of the value.

        Returns
        -------
        str
            Name of the converted value.
        """
        same = np.asarray(self.values[x]).dtype == self.dtype
        return x if same else self.cast(x, self.dtype)

    def cast(self, x: str, dtype: Any) -> str:
        """Convert a value.

        Parameters
        ----------
        x : str
            Name of the value.
        dtype : dtype
            Its new dtype.

        Returns
        -------
        str
            Name of the converted value.
        """
        from onnx import helper

        return self.add("Cast", x, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def constant(self, value: Any) -> str:
        """Add a constant.

        Parameters
        ----------
        value : array or number
            What is no parameter.

        Returns
        -------
        str
            Its name.
        """
        name = self._new("constant")
        self.weights[name], self.values[name] = np.asarray(value), value
        return name

    def maker(self, x: str) -> str:
        """Return the operator that computes a value.

        Parameters
        ----------
        x : str
            Name of the value.

        Returns
        -------
        str
            Such as "MatMul"; ``""`` for an input.
        """
        return next((node.op_type for node in self.nodes if x in node.output), "")

    def model(self, *example_inputs: Any) -> ModelProto:
        """Write the network and return the whole model.

        Parameters
        ----------
        *example_inputs : arrays, numbers, or tuples of them
            Inputs of the network.

        Returns
        -------
        onnx.ModelProto
            The model.
        """
        from onnx import helper, numpy_helper, shape_inference

        given = example_inputs if len(example_inputs) != 1 else example_inputs[0]
        value = _names("x", given)
        self.values |= dict(pairs(value, given))
        self._take(self.values)
        arrays = {name: np.asarray(leaf) for name, leaf in self.values.items()}
        batch = next((len(array) for array in arrays.values() if array.ndim), None)
        inputs = [
            _info(name, array, *("N" if n == batch else f"{name}_N" for n in array.shape[:1]))
            for name, array in arrays.items()
        ]
        out = self.write(self.net, value)
        outputs = []
        ends = _names("y", out)
        self._take(end for _, end in leaves(ends))
        for name, end in pairs(out, ends):
            self.nodes.append(helper.make_node("Identity", [name], [end]))
            array = np.asarray(self.values[name])
            outputs.append(_info(end, array, *(None for _ in array.shape)))
        weights = [numpy_helper.from_array(array, name) for name, array in self.weights.items()]
        graph = helper.make_graph(
            self.nodes, type(self.net).__name__, inputs, outputs, initializer=weights
        )
        model = helper.make_model(
            graph,
            producer_name="chainrule",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        return shape_inference.infer_shapes(model)

    def _take(self, names: Iterable[str]) -> None:
        """Reserve the names of inputs or outputs, which no weight may have."""
        for name in names:
            if name in self._taken:
                raise ValueError(
                    f"to_onnx: {label(self.net)} has a parameter called {name!r}, as an input or "
                    "output of the model is: export it within a Sequential"
                )
            self._taken.add(name)

    def _weight(self, value: Any) -> str:
        array = np.asarray(value)
        if name := self._state.get(id(value), ""):
            self.weights[name] = np.array(array, order="C")
            return name if array.dtype == self.dtype else self.cast(name, self.dtype)
        return self.constant(array if array.dtype.kind in "iub" else array.astype(self.dtype))

    def _new(self, what: str) -> str:
        """Return a name for what stands at this place that nothing has yet."""
        stem = name = f"{self.place}.{what}" if self.place else what
        k = 0
        while name in self._taken:
            k += 1
            name = f"{stem}_{k}"
        self._taken.add(name)
        return name


def _refuse_other_forward(layer: Any) -> None:
    """Raise if a subclass has another ``forward`` than the class in the table."""
    kind: Any = type(layer)
    known = next(cls for cls in kind.__mro__ if cls in onnx_operators.registry)
    if known is not object and kind.forward is not known.forward:
        raise TypeError(
            f"to_onnx: {kind.__name__} has another forward than {known.__name__}: register it "
            "with onnx_operators.register"
        )


def pairs(first: Any, second: Any) -> list[tuple[Any, Any]]:
    """Return the leaves of two nested tuples of one structure side by side."""
    return [(a, b) for (_, a), (_, b) in zip(leaves(first), leaves(second), strict=True)]


def _names(letter: str, value: Any) -> Any:
    """Return `value` with names at its leaves: the letter, or ``x_0``, ``x_1_0`` of several."""
    paths = [path for path, _ in leaves(value)]
    for path in paths:
        name = "_".join((letter, *map(str, path))) if len(paths) > 1 else letter
        value = replaced(value, path, name)
    return value


def _info(name: str, array: Array, *axes: str | None) -> ValueInfoProto:
    """Describe an input or output: its dtype and shape, the first lengths replaced by `axes`."""
    from onnx import helper

    shape = (*axes, *array.shape[len(axes) :])
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), shape)
