"""A copy of a layer to experiment on: all its floats in one dtype, its Generators held still."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ._parts import parts
from .base import Array

Path = tuple[int, ...]  # where a leaf stands in a nested tuple


class FrozenCopy:
    """A deep copy of a layer whose float arrays are of one dtype; it draws the same each time.

    Parameters
    ----------
    layer : object with ``forward`` and ``backward``
        The layer, which is left as it is. Arrays that are one in it are one in the copy, and so
        are a parameter and the views of it.
    dtype : dtype, default float64
        What the copy's float arrays become.
    """

    def __init__(self, layer: Any, dtype: DTypeLike = np.float64) -> None:
        arrays = [a for a in _reachable(layer) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
        # deepcopy takes what the memo holds for an object's id as that object's copy.
        memo: dict[int, Any] = _twins(arrays, getattr(layer, "params", []), np.dtype(dtype))
        self.layer = copy.deepcopy(layer, memo)
        self.frozen = [
            (thing, thing.state)
            for thing in _reachable(self.layer)
            if isinstance(thing, np.random.BitGenerator)
        ]

    def forward(self, *inputs: Any) -> Any:
        for generator, state in self.frozen:
            generator.state = state
        return self.layer.forward(*inputs)

    def backward(self, dout: Any) -> Any:
        return self.layer.backward(dout)

    @property
    def params(self) -> list[Any]:
        return list(getattr(self.layer, "params", []))

    @property
    def grads(self) -> list[Any]:
        return list(self.layer.grads) if self.params else []

    def gradient_names(self) -> list[str]:
        """Name the gradients: ``dW``, ``block.0.dW`` of a part, ``grads[0]`` without a name."""
        named: dict[int, str] = {}
        for key, name in _gradient_names(self.layer):
            named.setdefault(key, name)
        return [named.get(id(p), f"grads[{k}]") for k, p in enumerate(self.params)]


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield what stands in a nested tuple, with its place."""
    if isinstance(value, tuple):
        for i, part in enumerate(value):
            yield from leaves(part, (*path, i))
    else:
        yield path, value


def map_leaves(f: Callable[[Any], Any], value: Any) -> Any:
    """Apply `f` to each leaf of a nested tuple."""
    return tuple(map_leaves(f, part) for part in value) if isinstance(value, tuple) else f(value)


def replaced(value: Any, path: Path, leaf: Any) -> Any:
    """Return the nested tuple with another leaf at `path`."""
    if not path:
        return leaf
    i, *rest = path
    return (*value[:i], replaced(value[i], tuple(rest), leaf), *value[i + 1 :])


def _reachable(thing: Any) -> list[Any]:
    """List every object that a deep copy of `thing` would meet."""
    seen: dict[int, Any] = {}
    pending = [thing]
    while pending:
        thing = pending.pop()
        if id(thing) not in seen and not isinstance(thing, type | ModuleType | FunctionType):
            seen[id(thing)] = thing
            pending += gc.get_referents(thing)
    return list(seen.values())


def _twins(arrays: list[Array], params: Any, dtype: np.dtype[Any]) -> dict[int, Any]:
    """Return, by id, the copies that ``deepcopy`` would not make so: other dtypes, and views."""
    owners = {id(memory_of(p)) for p in params}
    twins: dict[int, Any] = {}
    whole: dict[int, Array] = {}
    for array in arrays:
        owner = memory_of(array)
        if id(owner) in owners and owner.dtype == array.dtype:
            memory = whole.setdefault(id(owner), owner.astype(dtype, order="K"))
            start = array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
            offset, *strides = (
                n // array.itemsize * dtype.itemsize for n in (start, *array.strides)
            )
            twins[id(array)] = np.ndarray(array.shape, dtype, memory, offset, strides)
        elif array.dtype != dtype:
            twins[id(array)] = array.astype(dtype)
    return twins


def memory_of(array: Any) -> Any:
    """Return the array that holds the memory of `array`."""
    base = getattr(array, "base", None)
    return base if isinstance(base, np.ndarray) else array


def _gradient_names(layer: Any, prefix: str = "") -> Iterator[tuple[int, str]]:
    for name in getattr(layer, "param_names", ()):
        yield id(getattr(layer, name, None)), f"{prefix}d{name}"
    for name, part in parts(layer).items():
        yield from _gradient_names(part, f"{prefix}{name}.")
    for k, param in enumerate(getattr(layer, "params", ())):
        yield id(param), f"{prefix}grads[{k}]"
