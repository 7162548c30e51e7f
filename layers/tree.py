"""What follows from the declared names: the layers of a layer, what is trained, what is saved."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from functools import cache, reduce
from operator import add
from types import MethodType
from typing import Any

import numpy as np

from .device import Array
from .protocols import LayerLike


def is_layer(thing: Any) -> bool:
    """Whether it has ``forward`` and ``backward`` and is not a class."""
    return hasattr(thing, "forward") and hasattr(thing, "backward") and not isinstance(thing, type)


def parts(layer: LayerLike) -> dict[str, Any]:
    """Return the layers that `part_names` declares, by name.

    The name is ``block``, ``blocks.0`` in a list, ``table.key`` in a dict; that of the attribute
    ``layers`` is left out.

    Raises
    ------
    ValueError
        If two layers have one name, as ``head`` and the key "head" in a dict ``layers`` have.
    """
    found: dict[str, Any] = {}
    for attribute in getattr(layer, "part_names", ()):
        start = "" if attribute == "layers" else attribute
        for name, part in layers_in(getattr(layer, attribute), start):
            if name in found:
                raise ValueError(f"{type(layer).__name__}: two of its layers are called {name!r}")
            found[name] = part
    return found


def layers_in(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the layers that a value is, or that a list, tuple or dict holds, with their names."""
    if isinstance(value, list | tuple | dict):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from layers_in(part, f"{name}.{key}" if name else str(key))
    elif is_layer(value):
        yield name, value


def walk(layer: LayerLike) -> Iterator[tuple[str, Any]]:
    """Yield the place and the layer, itself first, of all layers below it, each once."""
    seen: set[int] = set()

    def below(place: str, layer: LayerLike) -> Iterator[tuple[str, Any]]:
        if id(layer) not in seen:
            seen.add(id(layer))
            yield place, layer
            for name, part in parts(layer).items():
                yield from below(".".join(filter(None, (place, name))), part)

    return below("", layer)


def layers_of(*layers: LayerLike) -> list[Any]:
    """Return the layers that `walk` yields for each of some layers, in a tenth of its time."""
    found: dict[int, Any] = {}
    for layer in layers:
        _add_layers(layer, found)
    return list(found.values())


def _add_layers(layer: LayerLike, found: dict[int, Any]) -> None:
    found[id(layer)] = layer
    for name in getattr(layer, "part_names", ()):
        value = getattr(layer, name)
        for part in value if type(value) in (tuple, list) else (value,):
            if getattr(part, "part_names", None) == () and not isinstance(part, type):
                found[id(part)] = part
            else:  # one with parts, of a class that is no Layer, or a list of layers
                for _, inner in layers_in(part):
                    if id(inner) not in found:
                        _add_layers(inner, found)


def params_of(layers: list[Any]) -> list[Array]:
    """Return the trained arrays of the layers that `layers_of` found, a shared one once.

    An array that a frozen layer has is not trained, whoever else has it.
    """
    found: dict[int, Array] = {}
    frozen: set[int] = set()
    for owner in layers:
        if getattr(owner, "param_names", None) == ():
            continue
        own = {id(param): param for param in own_params(owner)}
        if getattr(owner, "frozen", False):
            frozen |= own.keys()
        else:
            found |= own
    return [param for key, param in found.items() if key not in frozen]


def params_and_grads(layers: list[Any]) -> tuple[list[Array], list[Array]]:
    """Return `params_of` some layers and their gradients; those of a shared array are summed."""
    params: list[Array] = []
    grads: list[Array] = []
    frozen: set[int] = set()
    for owner in layers:
        names = getattr(owner, "param_names", None)
        if names == ():
            continue
        if getattr(owner, "frozen", False):
            frozen.update(map(id, own_params(owner)))
            continue
        if names is None:  # an object of a class that is no Layer
            own = own_params(owner)
            params += own
            grads += [owner.grads[k] for k in range(len(own))]
        else:
            for name in names:
                params.append(getattr(owner, name))
                grads.append(getattr(owner, "d" + name))
    if len({*map(id, params)} - frozen) == len(params):
        return params, grads
    found: dict[int, tuple[Array, Array]] = {}
    for param, grad in zip(params, grads, strict=True):
        if id(param) not in frozen:
            found[id(param)] = param, found[id(param)][1] + grad if id(param) in found else grad
    return [param for param, _ in found.values()], [grad for _, grad in found.values()]


def own_params(layer: LayerLike) -> list[Array]:
    """Return the arrays that a layer itself declares, or lists in ``params``."""
    names = getattr(layer, "param_names", None)
    if names is None:
        return list(getattr(layer, "params", ()))
    return [getattr(layer, name) for name in names]


def is_trained(layer: LayerLike) -> bool:
    """Whether the layer or one of its parts has a parameter that is not frozen."""
    if not getattr(layer, "frozen", False):
        own = layer.param_names if hasattr(layer, "param_names") else getattr(layer, "params", ())
        if own:
            return True
    return any(is_trained(part) for part in parts(layer).values())


@cache
def nearest_backward(kind: type) -> str:
    """Return "backward_params" or "backward", whichever comes first in the bases of a class.

    Training calls it: if a subclass defines its own ``backward``, that is called.
    """
    for cls in kind.__mro__:
        for name in ("backward_params", "backward"):
            if name in vars(cls):
                return name
    return "backward"  # perhaps by __getattr__


def set_zero_grads(layer: LayerLike) -> None:
    """Assign zeros to every gradient of a layer and its parts: nothing flowed back to them."""
    for owner in layers_of(layer):
        zero_own_grads(owner)


def zero_own_grads(layer: LayerLike) -> None:
    """Assign zeros to the gradients of the parameters that a layer itself has."""
    for name in getattr(layer, "param_names", ()):
        setattr(layer, "d" + name, np.zeros_like(getattr(layer, name)))
    if not hasattr(layer, "param_names"):
        for grad in getattr(layer, "grads", ()):
            grad[...] = 0


def assign_summed_grads(layer: Any, copies: list[Any]) -> None:
    """``dW`` = the sum of ``dW`` over copies of a layer, for the parameters that it itself has."""
    if getattr(layer, "frozen", False):
        return
    for name in getattr(layer, "param_names", ()):
        setattr(layer, f"d{name}", reduce(add, [getattr(copy, f"d{name}") for copy in copies]))
    if not hasattr(layer, "param_names") and own_params(layer):
        grads = [copy.grads for copy in copies]
        totals = [reduce(add, each) for each in zip(*grads, strict=True)]
        for grad, total in zip(layer.grads, totals, strict=True):
            grad[...] = total  # the class may hold it under another name too


def state(layer: LayerLike) -> dict[str, Any]:
    """Return the parameters and buffers of a layer and its parts by name, such as ``1.0.W``.

    Parameters that an older class lists in ``params`` are called ``params.0``, ``params.1``.

    Raises
    ------
    TypeError
        If one of them is not an array.
    ValueError
        If two of them have one name, by a key with a point in a dict of layers.
    """
    found: dict[str, Any] = {}
    for place, part in walk(layer):
        prefix = f"{place}." if place else ""
        if hasattr(part, "param_names"):
            names = (*part.param_names, *getattr(part, "buffer_names", ()))
            own = {prefix + name: getattr(part, name) for name in names}
        else:
            own = {f"{prefix}params.{k}": a for k, a in enumerate(own_params(part))}
        for name in own.keys() & found.keys():
            raise ValueError(f"{type(layer).__name__}: two of its arrays are called {name!r}")
        found |= own
    for name, array in found.items():
        if isinstance(array, np.generic) or not hasattr(array, "dtype"):
            raise TypeError(
                f"{type(layer).__name__}: {name!r} is a {type(array).__name__}, "
                "expected an array, which is updated and loaded in place, by [...] = or +="
            )
    return found


_SHARED = {np.ndarray, int, float, bool, str, type(None)}


def twin(layer: Any) -> Any:
    """Return a copy of a layer and of all its parts that shares their arrays and Generators.

    What one of the two saves in forward, be it in a list or dict that the constructor made, or
    sets as its mode, the other does not see.
    """
    copies: dict[int, Any] = {}  # by the id of what they are copies of

    def copied(value: Any) -> Any:
        if type(value) in _SHARED:
            return copies.get(id(value), value)
        if id(value) in copies:
            return copies[id(value)]
        new: Any = value
        if is_layer(value):
            copies[id(value)] = new = copy.copy(value)
            own = getattr(value, "__dict__", {})
            if not hasattr(value, "param_names"):  # its backward may write to its gradients
                copies.update((id(grad), np.copy(grad)) for grad in getattr(value, "grads", ()))
            for name in {**own, **dict.fromkeys(getattr(value, "part_names", ()))}:
                old = getattr(value, name)
                if (mine := copied(old)) is not old:
                    setattr(new, name, mine)
        elif isinstance(value, list | dict | set | deque):
            copies[id(value)] = new = copy.copy(value)
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            for key, part in pairs if isinstance(value, list | dict) else ():
                new[key] = copied(part)
        elif isinstance(value, tuple):
            parts = list(map(copied, value))
            if any(part is not old for part, old in zip(parts, value, strict=True)):
                new = type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        elif type(value) is MethodType and id(value.__self__) in copies:
            new = MethodType(value.__func__, copies[id(value.__self__)])
        return new

    return copied(layer)


def label(layer: object) -> str:
    """Return its repr, or the name of its class if it has parts or no repr of its own."""
    plain = type(layer).__repr__ is object.__repr__
    made_of = getattr(layer, "part_names", ())
    return type(layer).__name__ if plain or made_of else repr(layer)
