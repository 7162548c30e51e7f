"""The function stack: push the calls as they are made, then go back from the last to the first."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers.nested import leaves, map_leaves
from ..layers.protocols import LayerLike
from ..layers.tree import (
    assign_summed_grads,
    is_layer,
    is_trained,
    label,
    layers_of,
    twin,
)
from .calls import Call
from .gradients import missing_return
from .values import Value, add_gradient, as_gradient, data_of


class FunctionStack:
    """Calls of layers, pushed as they are made and run back from the last to the first.

    A layer may be pushed several times: later calls run on copies that share its arrays, so that
    each call remembers its own forward. After `backward` the gradient ``dW`` of each of the
    layer's parameters is the sum over the calls. It is zero if no call was run back.

    Attributes
    ----------
    calls : list of Call
        The calls in the order in which they were made.
    values : list of Value
        All values, inputs and outputs of the calls, in the order in which they were made.

    Examples
    --------
    >>> from chainrule.layers import AddLayer, MulLayer
    >>> stack = FunctionStack()
    >>> x = stack.value(3)
    >>> y = stack.push(AddLayer(), stack.push(MulLayer(), x, x), x)  # x^2 + x
    >>> stack.backward(y)
    >>> y.data, x.grad
    (12, 7)

    The same one call at a time. The gradients of parameters are then those of each call alone,
    ``call.dparams``; only `FunctionStack.backward` sums them where a layer was pushed several
    times:

    >>> stack.clear_gradients()
    >>> y.grad = 1
    >>> for call in reversed(stack.calls):
    ...     call.backward()
    ...     print(call, call.dout, call.gradients, x.grad)
    Call(AddLayer()) 1 (1, 1) 1
    Call(MulLayer()) 1 (3, 3) 7
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.values: list[Value] = []
        self.pushed: set[int] = set()  # the ids of the layers, and of their parts

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Find the layers again, which a deep copy or a pickle has given other ids."""
        vars(self).update(state)
        self.pushed = {id(part) for call in self.calls for part in layers_of(call.layer)}

    def value(self, data: Any, name: str | None = None) -> Any:
        """Return `data` as a value that layers can be called with.

        Parameters
        ----------
        data : number, array or tuple
            A tuple becomes a tuple of values.
        name : str, optional
            Its name in pictures.

        Returns
        -------
        Value or tuple of Value
            What to push.

        Raises
        ------
        TypeError
            If `data` holds anything but numbers and arrays.
        """
        if isinstance(data, list):
            data = np.array(data)
        if isinstance(data, tuple):
            return tuple(self.value(part, name) for part in data)
        if not isinstance(data, int | float) and not hasattr(data, "dtype"):
            raise TypeError(
                f"FunctionStack.value: got a {type(data).__name__}, expected a number, an array "
                "or a tuple of them"
            )
        return self._new_value(data, name)

    def push(self, layer: LayerLike, *values: Any) -> Any:
        """Call ``layer.forward`` with the data of the values, and push the call.

        Parameters
        ----------
        layer : object with ``forward`` and ``backward``
            A layer or a net.
        *values : Value or tuple of Value
            Its inputs, as `value` or `push` returned them. A single tuple is spread.

        Returns
        -------
        Value or tuple of Value
            The output, nested as the layer returned it.

        Raises
        ------
        TypeError
            If `layer` is no layer, an input is no value, or the layer returns None.
        """
        if not is_layer(layer):
            raise TypeError(
                f"FunctionStack.push: got {layer!r}, expected an object with forward and backward"
            )
        inputs = values[0] if len(values) == 1 and isinstance(values[0], tuple) else values
        data = [v.data if type(v) is Value else map_leaves(data_of, v) for v in inputs]
        parts = layers_of(layer)
        ran = layer if self.pushed.isdisjoint(map(id, parts)) else twin(layer)
        self.pushed.update(map(id, parts))
        try:
            out = ran.forward(*data)
        except Exception as error:
            error.add_note(f"in call {len(self.calls)} of the function stack: {label(layer)}")
            raise
        if out is None:
            raise missing_return(layer, "forward")
        output = (
            map_leaves(self._new_value, out) if isinstance(out, tuple) else self._new_value(out)
        )
        self.calls.append(Call(layer, ran, inputs, output))
        return output

    def backward(self, value: Any, dout: Any = 1) -> None:
        """Run the calls back from the last to the first, and set every value's gradient.

        Parameters
        ----------
        value : Value or tuple of Value
            The value to differentiate.
        dout : number, array or tuple, default 1
            Upstream gradient, of the shape of `value`; 1 stands for ones.

        Raises
        ------
        TypeError, ValueError
            If `value` is not of this stack, or `dout` does not match it.
        """
        self._back(value, dout, ())

    def _back(self, value: Any, dout: Any, unneeded: tuple[Any, ...]) -> None:
        """Run back; a call of unneeded inputs alone only gives its parameters' gradients."""
        mine = set(self.values)
        for _, leaf in leaves(value):
            data_of(leaf)
            if leaf not in mine:
                raise ValueError("FunctionStack.backward: the value is of another stack")
        lowest = self._lowest(unneeded) if unneeded else set()
        self.clear_gradients()
        add_gradient(value, as_gradient(value, dout, self), self)
        for i in reversed(range(len(self.calls))):
            call = self.calls[i]
            try:
                if call in lowest:
                    call.backward_params()
                else:
                    call.backward()
            except Exception as error:
                error.add_note(f"in call {i} of the function stack: {label(call.layer)}")
                raise
        if any(call.ran is not call.layer for call in self.calls):
            self._sum_over_calls()

    def clear_gradients(self) -> None:
        """Set every value's gradient to None, as before `backward`."""
        for value in self.values:
            value.grad = None

    def _new_value(self, data: Any, name: str | None = None) -> Value:
        """Return anything as a value, without the checks of `value`."""
        value = Value(data, name)
        self.values.append(value)
        return value

    def _lowest(self, unneeded: tuple[Any, ...]) -> set[Call]:
        """Return the calls of unneeded values alone: what these give untrained is unneeded too."""
        spare = {*unneeded, *(leaf for _, leaf in leaves(unneeded))}
        found = set()
        for call in self.calls:
            if spare.issuperset(call.inputs):
                found.add(call)
                if not is_trained(call.layer):
                    spare |= {call.output, *(leaf for _, leaf in leaves(call.output))}
        return found

    def _sum_over_calls(self) -> None:
        """Assign each layer's parameters the sum of their gradients over its calls."""
        found: dict[int, tuple[Any, list[Any]]] = {}
        for call in self.calls:
            call._dparams = call.dparams  # since the layer itself gets the sum
            if not all(hasattr(part, "param_names") for part in layers_of(call.ran)):  # in place
                call._dparams = call.dparams and list(map(np.copy, call.dparams))
            for part, ran in zip(layers_of(call.layer), layers_of(call.ran), strict=True):
                found.setdefault(id(part), (part, []))[1].append(ran)
        for layer, runs in found.values():
            if any(ran is not layer for ran in runs):
                assign_summed_grads(layer, runs)

    def __repr__(self) -> str:
        return f"FunctionStack(of {len(self.calls)} calls)"
