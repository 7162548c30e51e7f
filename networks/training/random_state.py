"""The Generators that a training draws from, and how they and the buffers are restored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from ...layers.tree import walk

_PLAIN = {np.ndarray, str, bytes, bool, int, float, frozenset, type(None)}
_PLAIN |= {type(np.dtype(code)) for code in np.typecodes["Float"]}
_CLOSED = (type, ModuleType, FunctionType, MethodType)


def generators_within(roots: Mapping[str, Any]) -> dict[str, np.random.BitGenerator]:
    """Find the Generators in attributes of some objects and of the layers below them, at any depth.

    They are found by place, such as ``net.1.rng``; one that occurs at two places at both.
    """
    found: dict[str, np.random.BitGenerator] = {}
    seen: set[int] = set()
    for root, thing in roots.items():
        for place, layer in walk(thing):
            found |= _search(f"{root}.{place}" if place else root, layer, seen)
    return found


def _search(place: str, value: Any, seen: set[int]) -> Iterator[tuple[str, np.random.BitGenerator]]:
    if type(value) in _PLAIN:
        return
    if isinstance(value, np.random.Generator):
        yield place, value.bit_generator
        return
    if id(value) in seen or isinstance(value, _CLOSED):
        return
    seen.add(id(value))
    if isinstance(value, dict):
        inside: Any = value.items()
    elif isinstance(value, list | tuple):
        inside = enumerate(value)
    else:
        parts = getattr(value, "part_names", ())  # they have places of their own
        inside = [(k, v) for k, v in getattr(value, "__dict__", {}).items() if k not in parts]
    for key, part in inside:
        if type(part) not in _PLAIN:
            yield from _search(f"{place}.{key}", part, seen)


class Rewind:
    """Saves the buffers and Generators of all layers that run, to restore them after an error."""

    def __init__(self, layers: list[Any]) -> None:
        self.buffers = []
        self.states = []
        seen: set[int] = set()
        for layer in layers:
            for name in getattr(layer, "buffer_names", ()):
                array = getattr(layer, name)
                self.buffers.append((array, array.copy()))
            for name, value in getattr(layer, "__dict__", {}).items():
                if type(value) not in _PLAIN and name not in getattr(layer, "part_names", ()):
                    seen = seen or {*map(id, layers)}  # which are searched themselves
                    self.states += [(b, b.state) for _, b in _search("", value, seen)]

    def back(self) -> None:
        """Restore what was saved."""
        for array, copy in self.buffers:
            array[...] = copy
        for bits, state in self.states:
            bits.state = state
