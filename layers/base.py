"""The base class of every layer: parameters, gradients, state, and errors that teach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _parts

Array = NDArray[Any]


class Layer:
    """A function that remembers what it saw: ``forward(x)``, then ``backward(dout)``.

    ``forward(*inputs)`` saves on ``self`` what ``backward`` needs and returns a value;
    ``backward(dout)`` returns one gradient per input (several inputs: a tuple) and assigns the
    gradient of each parameter ``W`` to ``dW``. A value is an array, a Python number, or a tuple
    of values. Neither method writes into its arguments or into an array it returned before.

    A layer may be made of layers: those in its attributes, and in lists, tuples and dicts there,
    lend it their parameters, its mode reaches them, and their state is saved with its own. So a
    layer that another merely looks at must not be its attribute.

    Attributes
    ----------
    param_names : tuple of str
        Names of the trained arrays, such as ``("W", "b")``.
    buffer_names : tuple of str
        Names of the arrays that are saved but not trained.
    training : bool
        True while training, False in evaluation.
    """

    param_names: tuple[str, ...] = ()
    buffer_names: tuple[str, ...] = ()
    training: bool = True
    _fits: tuple[Any, ...] | None = None  # shape and dtype of the last input that passed

    @property
    def params(self) -> list[Array]:
        """The trained arrays themselves, in the order of `param_names`, then those of its parts.

        An array that several layers share is listed once.
        """
        found: dict[int, Array] = {}
        for layer, name in self._trained():
            for param in (getattr(layer, name),) if name else layer.params:
                found[id(param)] = param
        return list(found.values())

    @property
    def grads(self) -> list[Array]:
        """Their gradients from the latest `backward`; that of a shared array is the sum."""
        total: dict[int, Array] = {}
        for layer, name in self._trained():
            if name:
                _add(total, getattr(layer, name), getattr(layer, "d" + name))
            else:
                for param, grad in zip(layer.params, layer.grads, strict=True):
                    _add(total, param, grad)
        return list(total.values())

    def forward(self, *inputs: Any) -> Any:
        """Return the layer's value and remember what `backward` needs."""
        raise NotImplementedError(f"{type(self).__name__} has no forward()")

    def backward(self, dout: Any) -> Any:
        """Return the gradient of each input and assign those of the parameters."""
        raise NotImplementedError(f"{type(self).__name__} has no backward()")

    def train(self) -> None:
        """Enter training mode, all the way down."""
        for layer in self._walk():
            layer.training = True

    def eval(self) -> None:
        """Enter evaluation mode, all the way down."""
        for layer in self._walk():
            layer.training = False

    def predict(self, *inputs: Any) -> Any:
        """Return ``forward(*inputs)`` in evaluation mode, and put the mode back."""
        modes = [(layer, layer.training) for layer in self._walk()]
        self.eval()
        try:
            return self.forward(*inputs)
        finally:
            for layer, training in modes:
                layer.training = training

    def state_dict(self) -> dict[str, Array]:
        """Copies of the parameters and buffers, by name."""
        return {name: np.array(array) for name, array in _parts.state(self)}

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> None:
        """Copy `state` into the parameters and buffers, in place.

        Raises
        ------
        ValueError
            If names, shapes or kinds of dtype differ, an array is read-only, or two that are one
            array here differ; then nothing has changed.
        """
        for array, new in self._fitting(state):
            array[...] = new

    def expects(self, shape: tuple[int, ...]) -> str:
        """Return what shape the input should have if `shape` does not fit, else ``""``."""
        return ""

    def as_input(self, x: Any, name: str = "x") -> Array:
        """Return `x` as an array of numbers that fits the layer; errors call it `name`.

        The full check runs when the shape or dtype differs from the last call's. Integers become
        floats of the layer's dtype.

        Raises
        ------
        TypeError
            If `x` does not hold real numbers.
        ValueError
            If its shape is not what the layer expects.
        """
        if type(x) is np.ndarray and self._fits == (x.shape, x.dtype):
            return x
        x = self._real(x, name)
        if expected := self.expects(x.shape):
            raise ValueError(f"{self!r}: {name} has shape {x.shape}, expected {expected}")
        if x.dtype.kind == "f":
            self._fits = x.shape, x.dtype
            return x
        return x.astype(self.params[0].dtype if self.param_names else np.float64)

    def as_dout(self, dout: Any, shape: tuple[int, ...]) -> Array:
        """Return `dout` as an array, which must have the output's `shape`.

        Raises
        ------
        TypeError
            If `dout` does not hold real numbers.
        ValueError
            If its shape is not that of the layer's output.
        """
        if type(dout) is np.ndarray and dout.shape == shape:
            return dout
        dout = self._real(dout, "dout")
        if dout.shape != shape:
            raise ValueError(
                f"{self!r}: dout has shape {dout.shape}, expected {shape}, that of the output"
            )
        return dout

    @property
    def _derives(self) -> bool:
        """Whether params and grads are those of this class, not a list of the layer's own."""
        return type(self).params is Layer.params and type(self).grads is Layer.grads

    def _trained(self) -> list[tuple[Any, str]]:
        """Each parameter here and below as a layer and a name; none where a layer lists its own."""
        found: list[tuple[Any, str]] = []
        listed: set[int] = set()
        for _, layer in _parts.walk(self):
            if id(layer) in listed:
                continue
            if layer is self or (isinstance(layer, Layer) and layer._derives):
                found += [(layer, name) for name in layer.param_names]
            elif isinstance(layer, Layer) or hasattr(layer, "params"):
                found.append((layer, ""))
                listed |= {id(below) for _, below in _parts.walk(layer)}
        return found

    def _walk(self) -> Iterator[Any]:
        """Yield this layer and all below it that have a mode."""
        yield from (layer for _, layer in _parts.walk(self) if hasattr(layer, "training"))

    def _fitting(self, state: Mapping[str, ArrayLike]) -> list[tuple[Array, Array]]:
        """Return each array of the state here and below with what `state` has for it, checked."""
        mine, name = dict(_parts.state(self)), type(self).__name__
        new = {key: np.asarray(array) for key, array in state.items()}
        missing, unknown = sorted(set(mine) - set(new)), sorted(set(new) - set(mine))
        if missing or unknown:
            raise ValueError(
                f"{name}: the state is of another net: missing {missing}, unknown {unknown}"
            )
        found: dict[int, tuple[Array, Array]] = {}
        for key, array in mine.items():
            came = new[key]
            if came.shape != array.shape or came.dtype.kind != array.dtype.kind:
                raise ValueError(
                    f"{name}: state {key!r} is {came.dtype} of shape {came.shape}, "
                    f"expected {array.dtype} of shape {array.shape}"
                )
            if not array.flags.writeable:
                raise ValueError(f"{name}: {key!r} is read-only")
            pair = array, came.astype(array.dtype)  # a copy: `state` may hold views of the net
            _, other = found.setdefault(id(array), pair)
            if not np.array_equal(pair[1], other, equal_nan=array.dtype.kind == "f"):
                raise ValueError(f"{name}: state {key!r} differs from that of a name it is tied to")
        return list(found.values())

    def _real(self, x: Any, name: str) -> Array:
        try:
            array = np.asarray(x)
        except ValueError as error:
            raise ValueError(f"{self!r}: {name} is not an array of numbers: {error}") from None
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{self!r}: {name} is of dtype {array.dtype}, expected real numbers")
        return array

    def __getattr__(self, name: str) -> NoReturn:
        # Only reached where the attribute does not exist, or its property found one missing.
        hint = ""
        if name == "params" or name in self.param_names:
            hint = f"; param_names is {self.param_names}: set each in __init__"
        elif name == "grads" or name.removeprefix("d") in self.param_names:
            hint = "; call forward() and backward() first" + self._unreached()
        elif self._mentions(name):
            hint = "; call forward() before backward()"
        raise AttributeError(f"{type(self).__name__} has no {name!r}{hint}", name=name, obj=self)

    def _unreached(self) -> str:
        """Name the first part that lacks a gradient."""
        for place, layer in _parts.walk(self):
            names = layer.param_names if place and isinstance(layer, Layer) else ()
            if missing := [name for name in names if not hasattr(layer, "d" + name)]:
                return f": {place}, {_parts.label(layer)}, has no 'd{missing[0]}'"
        return ""

    def _mentions(self, name: str) -> bool:
        """Whether the layer's own code reads or sets the attribute."""
        code = (f for cls in type(self).__mro__ for f in vars(cls).values())
        return any(name in f.__code__.co_names for f in code if isinstance(f, FunctionType))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def as_parameter(value: ArrayLike, name: str) -> Array:
    """Return `value` as a trainable array: a float array is held as it is, not copied.

    Raises
    ------
    TypeError
        If it does not hold real numbers.
    """
    array = np.asarray(value)
    if array.dtype.kind in "iub":
        return array.astype(np.float64)
    if array.dtype.kind != "f":
        raise TypeError(f"{name} is of dtype {array.dtype}, expected real numbers")
    return array


def _add(total: dict[int, Array], param: Array, grad: Array) -> None:
    key = id(param)
    total[key] = total[key] + grad if key in total else grad
