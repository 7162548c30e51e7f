"""The step that every training shares: forward, loss, backward."""

from __future__ import annotations

import copy
from contextlib import suppress
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np

from ..layers.base import Array, Layer
from ..layers.nested import map_leaves
from ..layers.protocols import LayerLike, LossLike
from ..layers.tree import (
    label,
    layers_of,
    nearest_backward,
    params_and_grads,
    set_zero_grads,
    state,
)
from ..layers.undeclared import Watch


def value_and_grads(
    net: LayerLike, loss: LossLike, x: Any, t: Any, weights: Any = None
) -> tuple[float, list[Array]]:
    """Return the loss of a net on a batch, and its gradients in the order of ``net.params``.

    It is ``loss.forward(net.forward(x), t)``, then ``loss.backward()`` and the net's
    ``backward_params``, which leaves out the gradient of x, or ``backward``.

    Parameters
    ----------
    net : Layer
        The net; a tuple x is spread into the arguments of its forward.
    loss : Layer
        A layer of two inputs, such as `chainrule.layers.MSELoss`.
    x, t : arrays or nested tuples of arrays
        Inputs and targets.
    weights : array, optional
        Weights of the samples, for losses that take them.

    Returns
    -------
    loss : float
        Value of the loss.
    grads : list of arrays
        Gradient of each parameter.

    Raises
    ------
    FloatingPointError
        If the loss is NaN or infinite; then backward has not run.
    TypeError
        If the loss does not return a number.

    Examples
    --------
    >>> from chainrule.layers import Affine, MSELoss
    >>> net = Affine(np.ones((2, 1)), np.zeros(1))
    >>> value_and_grads(net, MSELoss(), np.array([[1.0, 2.0]]), np.array([[0.0]]))
    (9.0, [array([[ 6.],
           [12.]]), array([6.])])
    """
    value = backpropagate(net, loss, x, t, weights)
    # A layer may write its next gradients into the same arrays.
    return value, [copy.copy(grad) for grad in params_and_grads(layers_of(net))[1]]


def backpropagate(net: LayerLike, loss: LossLike, x: Any, t: Any, weights: Any = None) -> float:
    """Return the loss, and leave the gradients in the layers, where `params_and_grads` reads them.

    See `value_and_grads`.
    """
    y = net.forward(*x) if isinstance(x, tuple) else net.forward(x)
    value = loss_of(loss, y, t, weights)
    if not isfinite(value):
        raise NonFiniteLossError(value)
    dy = loss.backward(1.0)
    if is_nothing(dy):
        raise missing_return(loss, "backward")
    params_only(net)(dy)
    return value


def watched_backpropagate(
    net: LayerLike, loss: LossLike, x: Any, t: Any, weights: Any = None
) -> float:
    """`backpropagate`, and look for parameters that a layer trains but does not declare.

    For the first step of a training: it runs on a copy of the batch, and back through every layer,
    since `backpropagate` leaves out those before the first declared parameter.

    Raises
    ------
    TypeError
        If there is such a parameter; it names what to declare. Or if a buffer is no array.
    """
    watch = Watch(net, loss)
    value = backpropagate(net, loss, *copy.deepcopy((x, t)), weights)
    state(net)  # raises if forward has put a number in the place of a buffer
    with suppress(NotImplementedError):  # a layer without backward trains nothing
        net.backward(loss.backward(1.0))
    if undeclared := watch.undeclared():
        raise TypeError(undeclared)
    return value


class NonFiniteLossError(FloatingPointError):
    """The loss is NaN or infinite."""

    def __init__(self, value: float) -> None:
        super().__init__(f"the loss is {value}")
        self.value = value


def loss_of(loss: LossLike, y: Any, t: Any, weights: Any = None) -> float:
    """Return ``loss.forward(y, t)`` or ``loss.forward(y, t, weights)``, which must be a number."""
    value = loss.forward(y, t) if weights is None else loss.forward(y, t, weights)
    return value if type(value) is float else as_result(f"{type(loss).__name__}.forward", value)


def missing_return(layer: object, method: str) -> TypeError:
    """Return the error of a layer whose forward or backward returned None."""
    return TypeError(f"{label(layer)}: {method} returned None; is a return missing?")


def as_result(what: str, value: Any) -> float:
    """Return the value of a loss or metric as a float; raise TypeError if it is no number."""
    if np.ndim(value) or not (isinstance(value, Real) or hasattr(value, "__array_function__")):
        came = f"an array of shape {value.shape}" if hasattr(value, "shape") else repr(value)
        raise TypeError(f"{what} returned {came:.60}, expected a number")
    return float(value)


def params_only(layer: Any) -> Any:
    """Return ``layer.backward_params``, which leaves out dx, or else ``layer.backward``."""
    if "backward" in getattr(layer, "__dict__", ()):
        return layer.backward
    return getattr(layer, nearest_backward(type(layer)))  # type: ignore[arg-type]  # is hashable


def backward_of(layer: LayerLike, dout: Any) -> Any:
    """``layer.backward(dout)``; where nothing flows back, None, and zeros for its parameters."""
    if is_nothing(dout):
        set_zero_grads(layer)
        return None
    return layer.backward(own_dout(layer, dout))


def own_dout(layer: LayerLike, dout: Any) -> Any:
    """Return `dout`, as a copy for a class that is no Layer: the books' Relu writes to it."""
    if isinstance(layer, Layer):
        return dout
    return map_leaves(lambda leaf: leaf.copy() if hasattr(leaf, "copy") else leaf, dout)


def is_nothing(dout: Any) -> bool:
    """Whether a gradient is None, or a tuple of nothing but None."""
    return dout is None or (isinstance(dout, tuple) and bool(dout) and all(map(is_nothing, dout)))


def backward_params_of(layer: LayerLike, dout: Any) -> None:
    """Assign the gradients of a trained layer's parameters, without that of its input."""
    if is_nothing(dout):
        set_zero_grads(layer)
    else:
        params_only(layer)(own_dout(layer, dout))
