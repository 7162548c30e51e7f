"""Graph: nets of any shape, over the function stack."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers.nested import leaves, map_leaves
from ..layers.tree import label, layers_of, own_params, parts, zero_own_grads
from ..layers.undeclared import check_declared
from .function_stack import FunctionStack
from .network import Network
from .values import Value, as_gradient, data_of, filled


class Graph(Network):
    """A net of any shape: ``out = connect(stack, *inputs)``;  ``dx`` goes back over the stack.

    Override `connect`, which pushes the layers on a `FunctionStack`, and declare in ``part_names``
    the attributes that hold them. A layer may be pushed several times.

    Parameters
    ----------
    *layers : objects with ``forward`` and ``backward``
        For subclasses with ``part_names = ("layers",)``, which need no ``__init__``: see `Network`.

    Attributes
    ----------
    stack : FunctionStack
        The calls of the latest forward.

    Notes
    -----
    The gradient of an input that does not reach the output is zero, and so are those of a part
    that was not pushed.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import AddLayer, MatMul
    >>> class Siamese(Graph):
    ...     part_names = ("tower", "joint")
    ...
    ...     def __init__(self, tower, joint):
    ...         self.tower, self.joint = tower, joint
    ...
    ...     def connect(self, stack, x1, x2):
    ...         towers = stack.push(self.tower, x1), stack.push(self.tower, x2)
    ...         return stack.push(self.joint, towers)
    >>> net = Siamese(MatMul(np.eye(2)), AddLayer())
    >>> net.forward(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
    array([[4., 6.]])
    >>> dx1, dx2 = net.backward(np.array([[1.0, 1.0]]))
    >>> net.tower.dW  # x1.T @ dout + x2.T @ dout
    array([[4., 4.],
           [6., 6.]])
    """

    part_names: tuple[str, ...] = ()
    reuses_parts = True  # one layer may be at several places: each call on the stack keeps its own

    def connect(self, stack: FunctionStack, *inputs: Any) -> Any:
        """Push the layers and return the output: to be overridden.

        Parameters
        ----------
        stack : FunctionStack
            An empty stack.
        *inputs : Value or tuple of Value
            The net's inputs.

        Returns
        -------
        Value or tuple of Value
            The net's output.

        Raises
        ------
        NotImplementedError
            If it is not overridden.
        """
        raise NotImplementedError(f"{type(self).__name__} has no connect(): override it")

    def forward(self, *inputs: Any) -> Any:
        if "stack" not in vars(self):  # the first time, since __init__ need not call super()'s
            check_declared(self)
        self.stack = FunctionStack()
        self.given = map_leaves(self.stack._new_value, inputs)
        self.result = connected(self, self.stack, self.given)
        self._check_reached()
        return map_leaves(data_of, self.result)

    def backward(self, dout: Any) -> Any:
        self._back(dout)
        dinputs = map_leaves(self._gradient, self.given)
        return dinputs if len(dinputs) != 1 else dinputs[0]

    def backward_params(self, dout: Any) -> None:
        """Assign the gradients of all parameters, as `backward`, but leave out the inputs'."""
        self._back(dout, self.given)

    def _back(self, dout: Any, unneeded: tuple[Any, ...] = ()) -> None:
        for part in layers_of(self)[1:]:
            if id(part) not in self.stack.pushed:
                zero_own_grads(part)
        self.stack._back(self.result, as_gradient(self.result, dout, self), unneeded)

    def _gradient(self, value: Value) -> Any:
        """Return the gradient of an input: zeros if it does not reach the output."""
        if value.grad is None and not any(
            leaf is value
            for call in self.stack.calls
            if call.dout is not None
            for _, leaf in leaves(call.inputs)
        ):
            return filled(value.data, 0)
        return value.grad

    def _check_reached(self) -> None:
        """Raise if a layer was pushed that would not be trained, saved or switched in mode."""
        mine = set(map(id, layers_of(self)))
        for layer in [call.layer for call in self.stack.calls if id(call.layer) not in mine]:
            if any(map(_has_state, layers_of(layer))):
                raise ValueError(
                    f"{type(self).__name__}: connect pushes {label(layer)}, which part_names does "
                    "not reach, so that it would not be trained, saved or switched to evaluation: "
                    "make it in __init__, as an attribute that part_names lists"
                )

    def __repr__(self) -> str:
        inside = (f"{name}={part!r}" for name, part in parts(self).items())
        return f"{type(self).__name__}({', '.join(inside)})"


def connected(net: Graph, stack: FunctionStack, inputs: tuple[Any, ...]) -> Any:
    """Return ``net.connect(stack, *inputs)``, whose errors say where they are."""
    try:
        return net.connect(stack, *inputs)
    except Exception as error:
        error.add_note(f"in {type(net).__name__}.connect")
        if len(inputs) == 1 and isinstance(inputs[0], tuple):
            error.add_note("connect got one input, a tuple; pass several as net.predict(a, b)")
        raise


def _has_state(layer: Any) -> bool:
    """Whether a layer itself owns arrays, or draws, which depends on its mode."""
    own = getattr(layer, "__dict__", {})
    rng = any(isinstance(value, np.random.Generator) for value in own.values())
    return rng or bool(own_params(layer)) or bool(getattr(layer, "buffer_names", ()))
