"""Layers within a layer: the parts it keeps in its attributes, as a net keeps its ``layers``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def is_layer(thing: Any) -> bool:
    """Whether it has ``forward`` and ``backward`` and is no class."""
    return hasattr(thing, "forward") and hasattr(thing, "backward") and not isinstance(thing, type)


def parts(layer: Any) -> dict[str, Any]:
    """Return the layers in its attributes, and in lists, tuples and dicts there, by name.

    The name is ``block``, ``blocks.0`` in a list, and in the list ``layers`` the number alone. A
    second attribute for the same layer is only another name.
    """
    found: dict[str, Any] = {}
    owner: dict[int, str] = {}
    attributes = getattr(layer, "__dict__", {})
    for name in sorted(attributes, key="layers".__ne__):  # these first, the rest as they are
        value = attributes[name]
        if is_layer(value):
            items: Any = [(name, value)]
        elif isinstance(value, list | tuple | dict):
            prefix = "" if name == "layers" else f"{name}."
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            items = [(f"{prefix}{key}", part) for key, part in pairs if is_layer(part)]
        else:
            continue
        found |= {key: part for key, part in items if owner.setdefault(id(part), name) == name}
    return found


def places(layer: Any) -> Iterator[tuple[str, Any]]:
    """Yield all layers below with their places, such as ``1.0``."""
    for name, part in parts(layer).items():
        yield name, part
        yield from ((f"{name}.{place}", below) for place, below in places(part))


def state(layer: Any) -> list[tuple[str, Any]]:
    """Return the parameters and buffers here and below by name, such as ``1.0.W``.

    Parameters that a class lists in ``params`` without naming them are ``params.0``, ``params.1``.
    """
    names = (*getattr(layer, "param_names", ()), *getattr(layer, "buffer_names", ()))
    found = [(name, getattr(layer, name)) for name in names]
    for name, part in parts(layer).items():
        found += [(f"{name}.{below}", array) for below, array in state(part)]
    named = {id(array) for _, array in found}
    listed = enumerate(getattr(layer, "params", ()))
    return found + [(f"params.{k}", array) for k, array in listed if id(array) not in named]


def title(layer: object) -> str:
    """Return its repr, or of one with parts the name of its class."""
    return type(layer).__name__ if parts(layer) else repr(layer)
