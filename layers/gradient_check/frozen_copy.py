"""A copy of a layer to experiment on, with float arrays of one dtype and repeatable Generators."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..base import Array
from ..protocols import LayerLike
from ..tree import layers_of, own_params, params_and_grads, params_of, walk


class FrozenCopy:
    """A deep copy of a layer whose float arrays have one dtype; it draws the same each time.

    The layer is left as it is. One array in it is one in the copy, and views stay views.
    """

    def __init__(self, layer: LayerLike, dtype: DTypeLike = np.float64) -> None:
        self.dtype = np.dtype(dtype)
        floats = [a for a in _held(layer) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
        # deepcopy takes what the memo holds for an object's id as that object's copy.
        memory: dict[int, Array] = {}
        memo: Any = {id(array): _cast(array, self.dtype, memory) for array in floats}
        self.layer = copy.deepcopy(layer, memo)
        self.frozen = [
            (bits, bits.state)
            for thing in _held(self.layer)
            if (bits := getattr(thing, "bit_generator", getattr(thing, "_bit_generator", None)))
        ]

    def forward(self, *inputs: Any) -> Any:
        for bits, state in self.frozen:
            bits.state = state
        return self.layer.forward(*inputs)

    def backward(self, dout: Any) -> Any:
        return self.layer.backward(dout)

    @property
    def params(self) -> list[Any]:
        return params_of(layers_of(self.layer))

    @property
    def grads(self) -> list[Any]:
        return params_and_grads(layers_of(self.layer))[1]


def gradient_names(layer: LayerLike) -> list[str]:
    """Name the gradients: ``dW``, ``block.0.dW`` of a part, ``grads[0]`` without a name."""
    named: dict[int, str] = {}
    for place, part in walk(layer):
        prefix = f"{place}." if place else ""
        names = getattr(part, "param_names", None)
        for k, param in enumerate(own_params(part)):
            name = f"grads[{k}]" if names is None else f"d{names[k]}"
            named.setdefault(id(param), prefix + name)
    params = params_of(layers_of(layer))
    return [named.get(id(param), f"grads[{k}]") for k, param in enumerate(params)]


def _held(layer: Any) -> Iterator[Any]:
    """Yield what the attributes of a layer and its parts hold."""
    for _, part in walk(layer):
        yield from _inside(getattr(part, "__dict__", 0))


def _inside(value: Any) -> Iterator[Any]:
    """Yield a value and what it holds in lists, tuples and dicts."""
    if isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _inside(part)
    else:
        yield value


def _cast(array: Array, dtype: np.dtype[Any], memory: dict[int, Array]) -> Array:
    """Return the array in another dtype; what shared memory does so again."""
    owner = array.base if isinstance(array.base, np.ndarray) else array
    if owner.dtype != array.dtype:
        return array.astype(dtype)
    if id(owner) not in memory:
        memory[id(owner)] = owner.ravel(order="K").astype(dtype)
    start = array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    offset, *strides = (n // array.itemsize * dtype.itemsize for n in (start, *array.strides))
    return np.ndarray(array.shape, dtype, memory[id(owner)], offset, strides)
