"""Layers within a layer: the parts it keeps in its attributes, as a net keeps its ``layers``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np


def is_layer(thing: Any) -> bool:
    """Whether it has ``forward`` and ``backward`` and is no class."""
    return hasattr(thing, "forward") and hasattr(thing, "backward") and not isinstance(thing, type)


def parts(layer: Any) -> dict[str, Any]:
    """Return the layers in its attributes, and in lists, tuples and dicts there, by name.

    The name is ``block``, ``blocks.0`` in a list, and in the list ``layers`` the number alone. A
    second attribute for the same layer is only another name.

    Raises
    ------
    ValueError
        If two layers have one name, as ``head`` and the key "head" in a dict ``layers`` have.
    """
    found: dict[str, Any] = {}
    owner: dict[int, str] = {}
    attributes = getattr(layer, "__dict__", {})
    for attribute in sorted(attributes, key="layers".__ne__):  # these first, the rest as they are
        inside = _within("" if attribute == "layers" else attribute, attributes[attribute])
        for name, part in inside:
            if owner.setdefault(id(part), attribute) != attribute:
                continue
            if name in found:
                raise ValueError(f"{type(layer).__name__}: two of its layers are called {name!r}")
            found[name] = part
    return found


def walk(layer: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the layer and all below it, each once, with their places, such as ``1.block.0``."""
    seen: set[int] = set()

    def below(place: str, layer: Any) -> Iterator[tuple[str, Any]]:
        if id(layer) not in seen:
            seen.add(id(layer))
            yield place, layer
            for name, part in parts(layer).items():
                yield from below(f"{place}.{name}" if place else name, part)

    return below(place, layer)


def state(layer: Any) -> list[tuple[str, Any]]:
    """Return the parameters and buffers here and below by name, such as ``1.0.W``.

    Parameters that a class lists in ``params`` without naming them are ``params.0``, ``params.1``.

    Raises
    ------
    TypeError
        If one of them is no array.
    """
    found: dict[str, Any] = {}
    for place, part in walk(layer):
        prefix = f"{place}." if place else ""
        names = (*getattr(part, "param_names", ()), *getattr(part, "buffer_names", ()))
        found |= {prefix + name: getattr(part, name) for name in names}
        if not getattr(part, "_derives", False):
            named = {id(array) for _, below in walk(part) for array in _named(below)}
            listed = enumerate(getattr(part, "params", ()))
            found |= {f"{prefix}params.{k}": a for k, a in listed if id(a) not in named}
    for name, array in found.items():
        if not isinstance(array, np.ndarray):
            raise TypeError(
                f"{type(layer).__name__}: {name!r} is a {type(array).__name__}, "
                "expected an array, which can be saved and loaded in place"
            )
    return list(found.items())


def may_have_parts(attributes: Iterable[Any]) -> bool:
    """Whether there is a layer among them, or a list or dict, which may get one yet."""
    return any(map(_may_hold, attributes))


def label(layer: object) -> str:
    """Return its repr, or of one with parts the name of its class."""
    return type(layer).__name__ if parts(layer) else repr(layer)


def _within(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the layers in a value, itself or in lists, tuples and dicts, with their names."""
    if isinstance(value, list | tuple | dict):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in items:
            yield from _within(f"{name}.{key}" if name else str(key), part)
    elif is_layer(value):
        yield name, value


def _named(layer: Any) -> list[Any]:
    return [getattr(layer, name) for name in getattr(layer, "param_names", ())]


def _may_hold(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_may_hold, value))
    return isinstance(value, list | dict) or is_layer(value)
