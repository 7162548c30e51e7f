"""A copy of a layer to experiment on: its float arrays in one dtype, its Generators held still."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..tree import own_params, params_and_grads, params_of, walk


class FrozenCopy:
    """A deep copy of a layer whose float arrays have one dtype; it draws the same each time.

    Parameters
    ----------
    layer : object with ``forward`` and ``backward``
        The layer, which is left as it is. Arrays that are one in it are one in the copy.
    dtype : dtype, default float64
        What the float arrays in the attributes of the copy and its parts become.
    """

    def __init__(self, layer: Any, dtype: DTypeLike = np.float64) -> None:
        self.layer = copy.deepcopy(layer)
        self.dtype = np.dtype(dtype)
        self._cast: dict[int, Any] = {}
        self._keep: list[Any] = []  # so that no id is used again
        for _, part in walk(self.layer):
            for name, value in vars(part).items() if hasattr(part, "__dict__") else ():
                if name not in getattr(part, "part_names", ()):
                    vars(part)[name] = self._as_dtype(value)
        self.frozen = [
            (bits, bits.state)
            for _, part in walk(self.layer)
            for bits in _generators(getattr(part, "__dict__", {}))
        ]

    def _as_dtype(self, value: Any) -> Any:
        """Cast the float arrays in a value, those in lists, tuples and dicts too."""
        if isinstance(value, dict):
            return {key: self._as_dtype(v) for key, v in value.items()}
        if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
            return type(value)(self._as_dtype(v) for v in value)
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            if id(value) not in self._cast:
                self._cast[id(value)] = value.astype(self.dtype, copy=False)
                self._keep.append(value)
            return self._cast[id(value)]
        return value

    def forward(self, *inputs: Any) -> Any:
        for bits, state in self.frozen:
            bits.state = state
        return self.layer.forward(*inputs)

    def backward(self, dout: Any) -> Any:
        return self.layer.backward(dout)

    @property
    def params(self) -> list[Any]:
        return params_of(self.layer)

    @property
    def grads(self) -> list[Any]:
        return params_and_grads(self.layer)[1]

    def gradient_names(self) -> list[str]:
        """Name the gradients: ``dW``, ``block.0.dW`` of a part, ``grads[0]`` without a name."""
        named: dict[int, str] = {}
        for place, part in walk(self.layer):
            prefix = f"{place}." if place else ""
            names = getattr(part, "param_names", None)
            for k, param in enumerate(own_params(part)):
                name = f"grads[{k}]" if names is None else f"d{names[k]}"
                named.setdefault(id(param), prefix + name)
        return [named[id(param)] for param in self.params]


def _generators(value: Any) -> Iterator[Any]:
    """Yield the bit generators in a value, those in lists, tuples and dicts too."""
    if isinstance(value, np.random.Generator):
        yield value.bit_generator
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _generators(part)
