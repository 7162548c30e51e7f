"""What a net owns but no tuple declares: layers, parameters, shared memory."""

from __future__ import annotations

import copy
from collections import UserDict, UserList, deque
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

import numpy as np

from .base import Layer
from .checks import arguments_of
from .protocols import LayerLike
from .tree import is_layer, label, own_params, parts, walk

_judged: WeakSet[type] = WeakSet()  # later objects may hold what forward saved
_MODES = {"train", "train_flg", "train_flag", "training", "is_training"}


def check_declared(net: LayerLike, *, new: bool = True) -> None:
    """Raise if a net owns a layer or an array that it does not declare.

    Parameters
    ----------
    net : Layer
        The net, or a layer.
    new : bool, default True
        Whether its layers are new. In one that has run, the arrays that an object of no `Layer`
        class holds may be what forward saved, and are not judged; `Watch` finds what is trained.
        For the same reason each such class is judged once, by its first object.

    Raises
    ------
    TypeError
        If a layer holds an undeclared layer, an object that is no `Layer` holds float arrays and
        has neither ``params`` nor ``param_names``, a ``forward`` takes the mode as an argument,
        or a declared parameter is no float array.
    ValueError
        If one layer is reached by two places, or two parameters share memory without being the same
        array.
    """
    _layers_below(type(net).__name__, net, "", {})
    owners: list[tuple[str, Any]] = []
    for place, layer in walk(net):
        where = f"{place}, {label(layer)}" if place else label(layer)
        if isinstance(names := getattr(layer, "param_names", ()), str):
            raise TypeError(
                f"{where}: param_names is the string {names!r}, expected a tuple: "
                f"param_names = ({names!r},)"
            )
        _check_mode(where, layer)
        is_plain = not hasattr(layer, "param_names") and not hasattr(layer, "params")
        if is_plain or isinstance(layer, Layer):
            _check_parts(where, layer)
        if is_plain and new and type(layer) not in _judged:
            _check_plain(where, layer)
            _judged.add(type(layer))
        for k, param in enumerate(own_params(layer)):
            name = names[k] if names else f"params[{k}]"
            is_array = hasattr(param, "dtype") and not isinstance(param, np.generic)
            if not is_array or param.dtype.kind != "f":
                came = param.dtype if is_array else type(param).__name__
                raise TypeError(
                    f"{where}: parameter {name!r} is of type {came}, expected a float array, "
                    f'trained in place, such as as_parameter(value, "{name}")'
                )
            owners.append((f"{name} of {where}", param))
    check_memory(owners)


def _check_mode(where: str, layer: LayerLike) -> None:
    for name in _MODES.intersection(p.name for p in arguments_of(layer.forward)):
        raise TypeError(
            f"{where}: forward takes {name}, which no net passes, so that it would always run with "
            "the default; derive the class from Layer and use self.training, which train(), eval() "
            "and predict() set; arrays that evaluation needs are named in buffer_names, such as "
            'buffer_names = ("running_mean", "running_var")'
        )


Places = dict[int, tuple[str, LayerLike]]


def _layers_below(name: str, layer: LayerLike, place: str, above: Places) -> Places:
    """Return the place and layer of itself and all below it by id; none may be at two places."""
    found: Places = {id(layer): (place, layer)}
    above = above | found
    for part_name, part in parts(layer).items():
        there = f"{place}.{part_name}" if place else part_name
        theirs: Places = {id(part): (there, part)}
        if id(part) not in above:  # else the layer is within itself
            theirs = _layers_below(name, part, there, above)
        for key, (second, same) in theirs.items():
            first = above.get(key) or found.get(key)
            if first and not getattr(layer, "reuses_parts", False):
                raise ValueError(
                    f"{name}: the same {label(same)} is at {first[0] or 'the top'} and {second}; "
                    "a layer remembers one forward, so it may occur only once"
                )
        found = theirs | found
    return found


def _check_parts(where: str, layer: LayerLike) -> None:
    declared = getattr(layer, "part_names", ())
    for name in declared:
        value = getattr(layer, name)
        if not (value is None or isinstance(value, list | tuple | dict) or is_layer(value)):
            raise TypeError(
                f"{where}: the part {name!r} is a {type(value).__name__}, expected a layer, or a "
                "list, tuple or dict of layers"
            )
    for name, value in getattr(layer, "__dict__", {}).items():
        if name not in declared and _holds_layer(value, (id(layer),)):
            raise TypeError(
                f"{where}: attribute {name!r} holds a layer that would not be trained, saved or "
                f"switched to evaluation; declare it in the class: "
                f"part_names = {(*declared, name)}"
            )


def _holds_layer(value: Any, above: tuple[int, ...]) -> bool:
    """Whether it is a layer, or a collection, record or array of objects that holds one.

    `above` are the ids of what it is in, which it may refer to.
    """
    if id(value) in above or is_layer(value):
        return id(value) not in above
    inside: Any = ()
    if isinstance(value, dict | UserDict):
        inside = value.values()
    elif isinstance(value, list | tuple | set | frozenset | deque | UserList):
        inside = value
    elif isinstance(value, np.ndarray) and value.dtype == object:
        inside = value.flat
    elif isinstance(value, SimpleNamespace):
        inside = vars(value).values()
    elif hasattr(type(value), "__dataclass_fields__"):
        inside = [getattr(value, name, None) for name in type(value).__dataclass_fields__]
    return any(_holds_layer(part, (*above, id(value))) for part in inside)


def _check_plain(where: str, layer: LayerLike) -> None:
    """Check an object of a class that is no `Layer` and lists nothing."""
    values = getattr(layer, "__dict__", {})
    arrays = tuple(
        name
        for name, value in values.items()
        if _arrays(value) and not (name[:1] == "d" and name[1:] in values)
    )
    if arrays:
        lists = [name for name in arrays if not _is_float_array(values[name])]
        hint = f" (in {', '.join(lists)}: list them in self.params and self.grads)" if lists else ""
        raise TypeError(
            f"{where}: it holds the arrays {', '.join(arrays)}, but has neither params nor "
            f"param_names, so nothing says what is trained; add param_names = {arrays} to its "
            f"class, or () if none of them is{hint}"
        )


def _arrays(value: Any) -> list[Any]:
    """Return a float array, or those in a list, tuple or dict, at any depth."""
    if isinstance(value, list | tuple | dict):
        parts = value.values() if isinstance(value, dict) else value
        return [array for part in parts for array in _arrays(part)]
    return [value] if _is_float_array(value) else []


def check_memory(owners: list[tuple[str, Any]]) -> None:
    """Raise ValueError if two of the named parameters share memory without being one array."""
    unique = {id(a): (name, a) for name, a in owners if isinstance(a, np.ndarray) and a.size}
    spans = sorted((*np.lib.array_utils.byte_bounds(a), name, k) for k, (name, a) in unique.items())
    open_spans: list[tuple[int, str, int]] = []
    for start, end, other, j in spans:
        open_spans = [span for span in open_spans if span[0] > start]
        for _, name, k in open_spans:
            if np.shares_memory(unique[k][1], unique[j][1]):
                raise ValueError(
                    f"{name} and {other} share memory without being one array, so that each would "
                    "be updated separately; give both layers the same array (Affine has "
                    "transposed=True)"
                )
        open_spans.append((end, other, j))


class Watch:
    """Finds parameters whose gradients backward assigns but which nothing declares.

    Such a parameter ``X`` is a float array, or a list, tuple or dict of them, that existed before
    forward, which forward did not change and for which backward assigned ``dX``, and which is no
    declared parameter or buffer.
    Make a Watch before the first forward, and run forward on a copy of the batch, so that a saved
    input is not mistaken for a parameter.

    Parameters
    ----------
    *nets : layers
        The net, and the loss, which is a layer too.
    """

    def __init__(self, *nets: Any) -> None:
        self.before = []
        for net in nets:
            for place, layer in walk(net):
                own = {id(param) for param in own_params(layer)}
                values = {
                    name: (value, arrays := _arrays(value), copy.deepcopy(arrays))
                    for name, value in getattr(layer, "__dict__", {}).items()
                    if name not in getattr(layer, "buffer_names", ()) and id(value) not in own
                }
                self.before.append((place, layer, values))

    def undeclared(self) -> str:
        """Return what to declare and where, or ``""``."""
        for place, layer, values in self.before:
            names = tuple(
                name
                for name, (_, arrays, _) in values.items()
                if arrays
                and not _is_changed(layer, name, values)
                and _is_changed(layer, f"d{name}", values)
            )
            if names:
                where = f"{place}, {label(layer)}" if place else label(layer)
                listed = (*getattr(layer, "param_names", ()), *names)
                line = f"declare it in the class: param_names = {listed}"
                if not all(_is_float_array(values[name][0]) for name in names):
                    line = "give each array an attribute of its own, which param_names lists"
                return (
                    f"{where}: backward assigns {', '.join(f'd{n}' for n in names)}, but "
                    f"{', '.join(names)} would not be trained; {line}"
                )
        return ""


def _is_float_array(value: Any) -> bool:
    return hasattr(value, "__array_function__") and value.dtype.kind == "f"


def _is_changed(layer: LayerLike, name: str, before: dict[str, Any]) -> bool:
    """Whether the attribute is another array or number than before, or has other contents."""
    now = vars(layer).get(name)
    value, arrays, contents = before.get(name, (None, [], []))
    if now is not value:
        return bool(_arrays(now)) or isinstance(now, float | np.floating)
    if [*map(id, _arrays(now))] != [*map(id, arrays)]:  # a list that forward filled anew
        return True
    return not all(
        np.array_equal(a, b, equal_nan=True) for a, b in zip(arrays, contents, strict=True)
    )
