"""The values of a graph: data flows forward, gradients backward."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from ..layers.nested import check_douts, kind, leaves, map_leaves
from ..layers.tree import label
from .gradients import is_nothing, missing_return


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

    def _no_operator(self, other: Any) -> NoReturn:
        raise TypeError(
            "a graph's values have no operators: push a layer, such as stack.push(AddLayer(), a, b)"
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _no_operator
    __matmul__ = __rmatmul__ = __truediv__ = __rtruediv__ = __pow__ = _no_operator
    __array_ufunc__ = None  # NumPy's arrays leave an operation with a value to it

    def __repr__(self) -> str:
        name = "" if self.name is None else f", name={self.name!r}"
        return f"Value({self.data!r}, grad={self.grad!r}{name})"


def data_of(value: Any) -> Any:
    """Return the data of a value; raise TypeError if it is none."""
    if type(value) is not Value:
        raise TypeError(
            f"the function stack got a {type(value).__name__}, expected a value: "
            "stack.value(...) makes one of numbers, stack.push(...) returns one"
        )
    return value.data


def grad_of(output: Any) -> Any:
    """Return the gradient of an output; None if no part of it has one."""
    if type(output) is Value:
        return output.grad
    if all(value.grad is None for _, value in leaves(output)):
        return None
    return map_leaves(lambda v: filled(v.data, 0) if v.grad is None else v.grad, output)


def add_gradient(value: Any, gradient: Any, layer: object) -> None:
    """Add a gradient that `layer` returned to that of a value; None adds nothing."""
    if gradient is None:
        return
    if isinstance(value, tuple):
        for part, its in zip(value, gradient, strict=True):
            add_gradient(part, its, layer)
    elif value.grad is None:
        value.grad = gradient
    elif np.shape(value.grad) == np.shape(gradient):
        value.grad = value.grad + gradient
    else:
        raise ValueError(
            f"{label(layer)}: backward returned a gradient of shape {np.shape(gradient)}, "
            f"expected {np.shape(value.grad)}, that of the input's gradient from other calls"
        )


def one_per_input(inputs: tuple[Any, ...], gradient: Any, layer: object) -> tuple[Any, ...]:
    """Return the result of `layer.backward` as a tuple with a gradient for each input."""
    if is_nothing(gradient) and kind(map_leaves(data_of, inputs)) == "f":
        raise missing_return(layer, "backward")
    if len(inputs) == 1 and type(inputs[0]) is Value and not isinstance(gradient, tuple):
        return (gradient,)
    gradients = (gradient,) if len(inputs) == 1 else gradient if inputs else ()
    if _fits(inputs, gradients):
        return gradients
    if len(inputs) > 1 and _fits(inputs[0], gradient):  # a loss returns dy alone
        return (gradient, *(None for _ in inputs[1:]))
    came = f"a tuple of {len(gradient)}" if isinstance(gradient, tuple) else type(gradient).__name__
    raise ValueError(
        f"{label(layer)}: backward returned {came}, expected one gradient per input, "
        f"of which there are {len(inputs)}"
    )


def _fits(value: Any, gradient: Any) -> bool:
    if type(value) is Value or not isinstance(gradient, tuple):
        return type(value) is Value and not isinstance(gradient, tuple)
    return len(value) == len(gradient) and all(map(_fits, value, gradient))


def as_gradient(value: Any, dout: Any, owner: Any) -> Any:
    """Return `dout` as the gradient of a value, whose shapes it must have; 1 stands for ones."""
    if type(dout) is int and dout == 1:
        if isinstance(value, tuple):
            return map_leaves(lambda leaf: filled(leaf.data, 1), value)
        data = value.data  # integers too have a gradient if it is asked for
        return 1 if type(data) in (int, float) else np.ones_like(data, np.result_type(data, 0.5))
    if isinstance(value, tuple):
        check_douts(owner, dout, len(value))
        return tuple(as_gradient(v, d, owner) for v, d in zip(value, dout, strict=True))
    if dout is not None and np.shape(dout) != np.shape(value.data):
        raise ValueError(
            f"{owner!r}: dout has shape {np.shape(dout)}, expected {np.shape(value.data)}, "
            "that of the output"
        )
    return dout


def filled(data: Any, number: int) -> Any:
    """Return a gradient of equal numbers for `data`; None for arrays without a gradient."""
    if type(data) in (int, float):
        return number
    is_float = getattr(data, "dtype", np.dtype(bool)).kind == "f"
    return np.full_like(data, number) if is_float else None
