"""Every Generator that some objects lead to, however deep."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np


def generators_within(
    roots: Mapping[str, Any],
) -> tuple[dict[str, list[Any]], list[np.random.BitGenerator]]:
    """Find the Generators that attributes, lists, tuples and dicts of `roots` lead to.

    Returns
    -------
    places : dict of str to [str, int]
        For each place, such as ``net.layers.1.rng``, the kind of its Generator and its number. One
        that stands at two places has one number.
    generators : list of numpy.random.BitGenerator
        The numbered ones; their ``state`` can be read and set.
    """
    queue = deque(roots.items())
    places: dict[str, list[Any]] = {}
    found: dict[int, np.random.BitGenerator] = {}
    seen: set[int] = set()
    while queue:
        name, value = queue.popleft()
        if isinstance(value, np.random.Generator):
            bits = value.bit_generator
            found.setdefault(id(bits), bits)
            places[name] = [type(bits).__name__, list(found).index(id(bits))]
        elif id(value) not in seen:
            seen.add(id(value))
            queue.extend((f"{name}.{key}", part) for key, part in _parts(value))
    return places, list(found.values())


def _parts(value: Any) -> list[tuple[Any, Any]]:
    """Return what `value` consists of, with its names or numbers in it."""
    if isinstance(value, dict):
        return list(enumerate(value.values()))
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    if isinstance(value, type | ModuleType):
        return []
    return list(getattr(value, "__dict__", {}).items())
