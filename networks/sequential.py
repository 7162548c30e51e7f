"""Layers in series and in parallel, and a branch: they nest into any series-parallel graph."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from ..layers import Layer
from ..layers.checks import as_count
from ..layers.nested import check_douts, kind
from ..layers.tree import is_trained
from .chain import Chain
from .gradients import backward_params_of, missing_return
from .network import call


class Sequential(Chain):
    """``out = f_n(... f_2(f_1(x)))``;  ``dx = b_1(... b_n(dout))``, each b its layer's backward.

    A tuple is spread into the arguments of the layer it goes to.

    Parameters
    ----------
    *layers : objects with ``forward`` and ``backward``
        See `Network`, for the errors too.

    Examples
    --------
    >>> from chainrule.layers import AddLayer, MulLayer
    >>> net = Sequential(MulLayer(), Branch(2), AddLayer())
    >>> net.forward(3, 4), net.backward(1)
    (24, (8, 6))
    """

    def forward(self, *inputs: Any) -> Any:
        value: Any = inputs if len(inputs) != 1 else inputs[0]
        took = ""
        layer: Any = None
        try:
            for layer in self.layers:
                took += kind(value)
                value = layer.forward(*value) if isinstance(value, tuple) else layer.forward(value)
                if value is None:
                    raise missing_return(layer, "forward")
        except Exception as error:
            self.note(error, layer)
            raise
        self.took = took
        return value

    def backward(self, dout: Any) -> Any:
        return self._back(dout, 0)

    def backward_params(self, dout: Any) -> None:
        """Assign the gradients of the parameters; layers before the first of them do not run."""
        lowest = 0
        for layer in self.layers:
            if is_trained(layer):
                break
            lowest += 1
        else:
            return
        dout = self._back(dout, lowest + 1)
        try:
            backward_params_of(layer, dout)
        except Exception as error:
            self.note(error, layer)
            raise

    def _back(self, dout: Any, end: int) -> Any:
        """Run the layers back from the last to layer `end`."""
        layer: Any = None
        try:
            for i in range(len(self.layers) - 1, end - 1, -1):
                layer = self.layers[i]
                dout = self.gradient_of(i, dout)
        except Exception as error:
            self.note(error, layer)
            raise
        return dout


class Parallel(Chain):
    """``out = (f_1(x_1), ..., f_n(x_n))``;  ``dx_i = b_i(dout_i)``, each b its layer's backward.

    Takes one input for each layer and returns a tuple; a tuple among the inputs is spread into
    its layer's arguments. With a single layer the value is that layer's.

    Parameters
    ----------
    *layers : objects with ``forward`` and ``backward``
        See `Network`, for the errors too.
    """

    def forward(self, *inputs: Any) -> Any:
        self._check(inputs, "inputs")
        self.took = "".join(map(kind, inputs))
        return self._each(lambda i, x: call(self.layers[i], x), inputs)

    def backward(self, dout: Any) -> Any:
        return self._each(self.gradient_of, self._douts(dout))

    def backward_params(self, dout: Any) -> None:
        """Assign the gradients of the parameters, without those of the inputs."""

        def back(i: int, dout: Any) -> None:
            if is_trained(self.layers[i]):
                backward_params_of(self.layers[i], dout)

        self._each(back, self._douts(dout))

    def _each(self, apply: Callable[[int, Any], Any], values: tuple[Any, ...]) -> Any:
        results = []
        for i, value in enumerate(values):
            try:
                results.append(apply(i, value))
            except Exception as error:
                self.note(error, self.layers[i])
                raise
        return tuple(results) if len(results) != 1 else results[0]

    def _douts(self, dout: Any) -> tuple[Any, ...]:
        douts = dout if len(self.layers) != 1 else (dout,)
        self._check(douts, "gradients")
        return tuple(douts)

    def _check(self, values: Any, what: str) -> None:
        if not isinstance(values, tuple):
            raise TypeError(
                f"Parallel of {len(self)} layers: got a {type(values).__name__}, "
                f"expected a tuple of {len(self)} {what}"
            )
        if len(values) != len(self):
            raise ValueError(
                f"Parallel of {len(self)} layers: got {len(values)} {what}, expected {len(self)}"
            )


class Branch(Layer):
    """``out = (x, ..., x)``, n times;  ``dx = dout_1 + ... + dout_n``.

    Several inputs are copied as one tuple. The copies are the same object, which no layer
    writes to. A gradient that is None adds nothing.

    Parameters
    ----------
    n : int
        Number of copies, at least 1. With 1 the value is the input itself.

    Raises
    ------
    ValueError
        If `n` is not such an integer; from `backward`, if there are not n gradients.
    """

    def __init__(self, n: int) -> None:
        self.n = as_count(n, "Branch: n")

    def forward(self, *inputs: Any) -> Any:
        value: Any = inputs if len(inputs) != 1 else inputs[0]
        return (value,) * self.n if self.n > 1 else value

    def backward(self, dout: Any) -> Any:
        if self.n == 1:
            return dout
        check_douts(self, dout, self.n)
        return reduce(add, dout)

    def __repr__(self) -> str:
        return f"Branch({self.n})"


def add(a: Any, b: Any) -> Any:
    """Add two gradients, part by part where they are tuples; None adds nothing."""
    if a is None or b is None:
        return b if a is None else a
    if isinstance(a, tuple):
        return tuple(add(x, y) for x, y in zip(a, b, strict=True))
    return a + b
