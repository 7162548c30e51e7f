"""The function stack: push the calls, then go back through them; and nets made of it, `Graph`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers import Layer
from ..layers.nested import has_floats, leaves, map_leaves
from ..layers.tree import is_layer, label, layers_of, params_and_grads, params_of, parts, twin
from .gradients import is_nothing, missing_return, params_only
from .network import Network


class Value:
    """A value of the graph: ``data`` flows forward, ``grad`` backward.

    Attributes
    ----------
    data : number or array
        The value itself.
    grad : number, array or None
        Its gradient after `FunctionStack.backward`: the sum over the calls that use the value;
        None if no call returned one.
    name : str or None
        Its name in pictures.
    """

    __slots__ = ("data", "grad", "name")

    def __init__(self, data: Any, name: str | None = None) -> None:
        self.data, self.name = data, name
        self.grad: Any = None

    def __repr__(self) -> str:
        name = "" if self.name is None else f", name={self.name!r}"
        return f"Value({self.data!r}, grad={self.grad!r}{name})"


class Call:
    """One call of a layer, ``output = layer.forward(*inputs)``, which `backward` runs back.

    Attributes
    ----------
    layer : object with ``forward`` and ``backward``
        The layer that was pushed.
    inputs : tuple of Value
        Its arguments, perhaps nested.
    output : Value or tuple of Value
        What it returned.
    dout : number, array, tuple or None
        The gradient of the output; None if the output is not used.
    gradients : tuple or None
        The gradient of each input, nested as the inputs are.
    """

    __slots__ = ("_kept", "dout", "gradients", "inputs", "layer", "output")

    def __init__(self, layer: Any, inputs: tuple[Any, ...], output: Any) -> None:
        self.layer, self.inputs, self.output = layer, inputs, output
        self._kept = layer  # or a copy of it, once it is pushed again
        self.dout: Any = None
        self.gradients: tuple[Any, ...] | None = None

    @property
    def dparams(self) -> list[Any] | None:
        """The gradients of the layer's parameters from this call alone; None before `backward`."""
        return None if self.dout is None else params_and_grads(self._kept)[1]

    def backward(self) -> None:
        """``dinputs = layer.backward(dout)``, added to the gradients of the inputs."""
        self.gradients, self.dout = None, _dout(self.output)
        if self.dout is not None:  # else the output is not used
            self.gradients = _one_per_input(self, self._kept.backward(self.dout))
            for value, gradient in zip(self.inputs, self.gradients, strict=True):
                _add_to(value, gradient, self.layer)

    def _backward_params(self) -> None:
        self.gradients, self.dout = None, _dout(self.output)
        if self.dout is not None:
            params_only(self._kept)(self.dout)

    def _keep(self) -> None:
        """Keep a copy to run back, since the layer itself is about to forget this call."""
        if self._kept is self.layer:
            self._kept = twin(self.layer)
            pairs = zip(layers_of(self.layer), layers_of(self._kept), strict=True)
            copies = {id(old): new for old, new in pairs}
            for copy in copies.values():
                if isinstance(copy, Graph) and "stack" in vars(copy):
                    copy.stack = copy.stack._with(copies)
                elif isinstance(vars(copy).get("grads"), list):  # a class of the books' style
                    copy.grads = [np.copy(grad) for grad in copy.grads]

    def __repr__(self) -> str:
        return f"Call({label(self.layer)})"


class FunctionStack:
    """Calls of layers, pushed as they are made and run back from the last to the first.

    A layer may be pushed several times: each call remembers its own forward, and after `backward`
    the gradient ``dW`` of each of the layer's parameters is the sum over the calls. It is zero if
    no call was run back.

    Attributes
    ----------
    calls : list of Call
        The calls in the order in which they were made.

    Examples
    --------
    >>> from chainrule.layers import AddLayer, MulLayer
    >>> stack = FunctionStack()
    >>> x = stack.value(3)
    >>> y = stack.push(AddLayer(), stack.push(MulLayer(), x, x), x)  # x^2 + x
    >>> stack.backward(y)
    >>> y.data, x.grad
    (12, 7)

    The same one call at a time:

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
        self._latest: dict[int, Call] = {}  # by the id of a layer, of a part too
        self._idle: list[Any] = []  # parts of a graph that were not pushed

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
        return self._value(data, name)

    def push(self, layer: Any, *values: Any) -> Any:
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
        if not (isinstance(layer, Layer) or is_layer(layer)):
            raise TypeError(
                f"FunctionStack.push: got {layer!r}, expected an object with forward and backward"
            )
        inputs = values[0] if len(values) == 1 and type(values[0]) is tuple else values
        data = tuple([v.data if type(v) is Value else map_leaves(_data, v) for v in inputs])
        within = _within(layer)
        for part in within:
            if id(part) in self._latest:
                self._latest[id(part)]._keep()
        try:
            out = layer.forward(*data)
        except Exception as error:
            error.add_note(f"in call {len(self.calls)} of the function stack: {label(layer)}")
            raise
        if out is None:
            raise missing_return(layer, "forward")
        output = map_leaves(self._value, out) if type(out) is tuple else self._value(out)
        call = Call(layer, inputs, output)
        self.calls.append(call)
        for part in within:
            self._latest[id(part)] = call
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
        mine = set(map(id, self.values))
        for _, leaf in leaves(value):
            _data(leaf)
            if id(leaf) not in mine:
                raise ValueError("FunctionStack.backward: the value is of another stack")
        self._back(value, dout, self)

    def clear_gradients(self) -> None:
        """Set every value's gradient to None, as before `backward`."""
        for value in self.values:
            value.grad = None

    def _back(self, value: Any, dout: Any, owner: Any, unneeded: tuple[Any, ...] = ()) -> None:
        """Run `backward`, but leave out the gradients of `unneeded` values."""
        self.clear_gradients()
        _add_to(value, as_gradient(value, dout, owner), owner)
        spare = {id(leaf) for _, leaf in leaves(unneeded)}
        for i in range(len(self.calls) - 1, -1, -1):
            call = self.calls[i]
            try:
                if spare and all(id(leaf) in spare for _, leaf in leaves(call.inputs)):
                    call._backward_params()
                else:
                    call.backward()
            except Exception as error:
                error.add_note(f"in call {i} of the function stack: {label(call.layer)}")
                raise
        self._sum_over_calls()

    def _sum_over_calls(self) -> None:
        """Assign each layer's parameters the sum of their gradients over its calls."""
        for part in self._idle:
            _assign_sum(part, [])
        if all(call._kept is call.layer and call.dout is not None for call in self.calls):
            return  # each is assigned already
        users: dict[int, tuple[Any, list[Call]]] = {}
        for call in self.calls:
            for part in _within(call.layer):
                users.setdefault(id(part), (part, []))[1].append(call)
        for _, calls in users.values():
            for call in calls if len(calls) > 1 else ():
                call._keep()  # its own gradients, beside the sum
        copies: dict[int, list[Any]] = {key: [] for key in users}
        for call in self.calls:
            if call.dout is not None:
                for part, kept in zip(layers_of(call.layer), layers_of(call._kept), strict=True):
                    copies[id(part)].append(kept)
        for key, (part, _) in users.items():
            if not any(kept is part for kept in copies[key]):
                _assign_sum(part, copies[key])

    def _with(self, copies: dict[int, Any]) -> FunctionStack:
        """Return the same calls with the layers' copies, which are given by id."""
        other = FunctionStack()
        other.values = self.values
        other._idle = [copies[id(part)] for part in self._idle]
        for call in self.calls:
            moved = Call(copies.get(id(call.layer), call.layer), call.inputs, call.output)
            moved._kept = copies.get(id(call._kept), call._kept)
            other.calls.append(moved)
        return other

    def __repr__(self) -> str:
        return f"FunctionStack(of {len(self.calls)} calls)"

    def _value(self, data: Any, name: str | None = None) -> Value:
        value = Value(data, name)
        self.values.append(value)
        return value


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
        self.stack = FunctionStack()
        self.given = map_leaves(self.stack._value, inputs)
        try:
            self.result = self.connect(self.stack, *self.given)
        except Exception as error:
            error.add_note(f"in {type(self).__name__}.connect")
            raise
        self._compare_with_parts()
        return map_leaves(_data, self.result)

    def backward(self, dout: Any) -> Any:
        self._back(dout)
        dinputs = map_leaves(self._gradient, self.given)
        return dinputs if len(dinputs) != 1 else dinputs[0]

    def backward_params(self, dout: Any) -> None:
        """Assign the gradients of all parameters, as `backward`, but leave out the inputs'."""
        self._back(dout, self.given)

    def _back(self, dout: Any, unneeded: tuple[Any, ...] = ()) -> None:
        self.stack._back(self.result, dout, self, unneeded)

    def _gradient(self, value: Value) -> Any:
        """Return an input's gradient: zeros if it does not reach the output; None as a layer's."""
        ran = (call for call in self.stack.calls if call.dout is not None)
        used = value.grad is not None or any(
            leaf is value for call in ran for _, leaf in leaves(call.inputs)
        )
        return value.grad if used else _zero(value.data)

    def _compare_with_parts(self) -> None:
        """Find the parts that were not pushed, and layers that would not be trained or saved."""
        idle = {id(part): part for part in layers_of(self)}
        del idle[id(self)]
        strangers = []
        for call in self.stack.calls:
            for part in _within(call.layer):
                if idle.pop(id(part), None) is None and part is call.layer:
                    strangers.append(part)  # or pushed before
        self.stack._idle = list(idle.values())
        mine = set(map(id, layers_of(self))) if strangers else set()
        for layer in strangers:
            names = [name for name, value in vars(self).items() if value is layer]
            if id(layer) not in mine and (names or params_of(layer)):
                raise ValueError(
                    f"{type(self).__name__}: connect pushes {label(layer)}, which part_names does "
                    f"not reach: write part_names = {(*self.part_names, *(names or ['...']))}"
                )

    def __bool__(self) -> bool:
        return True  # it has no length

    def __repr__(self) -> str:
        inside = (f"{name}={part!r}" for name, part in parts(self).items())
        return f"{type(self).__name__}({', '.join(inside)})"


def _within(layer: Any) -> Any:
    """Return the layer and all its parts."""
    return layers_of(layer) if getattr(layer, "part_names", ()) else (layer,)


def _data(value: Any) -> Any:
    if type(value) is not Value:
        raise TypeError(
            f"the function stack got a {type(value).__name__}, expected a value: "
            "stack.value(...) makes one of numbers, stack.push(...) returns one"
        )
    return value.data


def as_gradient(value: Any, dout: Any, owner: Any) -> Any:
    """Return `dout` in the structure of `value`, 1 spread to ones."""
    if type(dout) is int and dout == 1:
        return map_leaves(lambda leaf: _one(leaf.data), value)
    if isinstance(value, tuple):
        if not isinstance(dout, tuple) or len(dout) != len(value):
            came = f"a tuple of {len(dout)}" if isinstance(dout, tuple) else type(dout).__name__
            raise ValueError(
                f"{owner!r}: dout is {came}, expected a tuple of {len(value)} gradients"
            )
        return tuple(as_gradient(v, d, owner) for v, d in zip(value, dout, strict=True))
    if dout is not None and np.shape(dout) != np.shape(value.data):
        raise ValueError(
            f"{owner!r}: dout has shape {np.shape(dout)}, expected {np.shape(value.data)}, "
            "that of the output"
        )
    return dout


def _dout(output: Any) -> Any:
    """Return the gradient of an output; None if no part of it has one."""
    if type(output) is Value:
        return output.grad
    if all(leaf.grad is None for _, leaf in leaves(output)):
        return None
    return map_leaves(lambda v: _zero(v.data) if v.grad is None else v.grad, output)


def _one_per_input(call: Call, gradient: Any) -> tuple[Any, ...]:
    """Return what backward returned as a tuple with an entry per input."""
    if not call.inputs:
        return ()
    if is_nothing(gradient) and has_floats(map_leaves(_data, call.inputs)):
        raise missing_return(call.layer, "backward")
    gradients = (gradient,) if len(call.inputs) == 1 else gradient
    if type(gradients) is tuple and _fits(call.inputs, gradients):
        return gradients
    if len(call.inputs) > 1 and _fits(call.inputs[0], gradient):  # a loss returns dy alone
        return (gradient, *(None for _ in call.inputs[1:]))
    came = f"a tuple of {len(gradient)}" if type(gradient) is tuple else type(gradient).__name__
    raise ValueError(
        f"{label(call.layer)}: backward returned {came}, expected one gradient per input, "
        f"of which there are {len(call.inputs)}"
    )


def _fits(values: Any, gradients: Any) -> bool:
    if type(values) is Value:
        return type(gradients) is not tuple
    if gradients is None:
        return True
    if type(gradients) is not tuple or len(gradients) != len(values):
        return False
    return all(_fits(v, g) for v, g in zip(values, gradients, strict=True))


def _add_to(values: Any, gradient: Any, layer: Any) -> None:
    """Add a gradient to that of each value; None adds nothing."""
    if gradient is None:
        return
    if type(values) is tuple:
        for value, part in zip(values, gradient, strict=True):
            _add_to(value, part, layer)
    elif values.grad is None:
        values.grad = gradient
    elif np.shape(values.grad) == np.shape(gradient):
        values.grad = values.grad + gradient
    else:
        raise ValueError(
            f"{label(layer)}: backward returned a gradient of shape {np.shape(gradient)}, "
            f"expected {np.shape(values.grad)}, that of the input's gradient from other calls"
        )


def _assign_sum(layer: Any, copies: list[Any]) -> None:
    """Assign a layer's parameters the sum of the copies' gradients: zeros if there are none."""
    if getattr(layer, "frozen", False):
        return
    for name in getattr(layer, "param_names", ()):
        grads = [getattr(copy, f"d{name}") for copy in copies]
        setattr(layer, f"d{name}", _sum(grads, getattr(layer, name)))
    params = getattr(layer, "params", None)
    if params and not isinstance(layer, Layer):
        if not isinstance(vars(layer).get("grads"), list):
            raise TypeError(
                f"{label(layer)}: called several times or not at all in one step, for which a "
                "class that is no Layer needs a list of gradients: self.grads = [...]"
            )
        for k, param in enumerate(params):
            layer.grads[k] = _sum([copy.grads[k] for copy in copies], param)


def _sum(grads: list[Any], param: Any) -> Any:
    return sum(grads[1:], grads[0]) if grads else np.zeros_like(param)


def _one(data: Any) -> Any:
    if type(data) in (int, float):
        return 1
    return np.ones_like(data) if _is_float(data) else None


def _zero(data: Any) -> Any:
    if type(data) in (int, float):
        return type(data)(0)
    return np.zeros_like(data) if _is_float(data) else None


def _is_float(data: Any) -> bool:
    return getattr(data, "dtype", np.dtype(bool)).kind == "f"
