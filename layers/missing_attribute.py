"""What to say of an attribute that a layer does not have."""

from __future__ import annotations

from typing import Any

from .tree import label, walk


def missing_attribute(layer: Any, name: str) -> AttributeError:
    """Return the error, with a hint where the name tells what was meant."""
    hint = ""
    if name in (*layer.param_names, *layer.buffer_names, *layer.part_names):
        hint = ", which the class declares: set it in __init__"
        if hasattr(type(layer), "__len__"):  # a Sequential, whose own __init__ looks for it
            hint += ", before super().__init__(...)"
    elif name in ("params", "grads") or (name[:1] == "d" and name[1:] in layer.param_names):
        hint = _what_is_missing(layer)
    elif name in ("shape", "ndim", "T"):
        hint = ": it is a layer, not an array; its arrays are in params"
    elif name in ("append", "extend", "insert"):
        hint = ": its parts are fixed when it is made, such as Sequential(*layers, another)"
    elif name in ("parameters", "named_parameters"):
        hint = ": its trained arrays are in params, all arrays by name in state_dict()"
    elif name == "zero_grad":
        hint = ": backward() assigns the gradients, so there is nothing to set to zero"
    else:
        hint = "; if forward() sets it, call forward() first"
    return AttributeError(f"{type(layer).__name__} has no {name!r}{hint}", name=name, obj=layer)


def _what_is_missing(layer: Any) -> str:
    """Say which declared array or gradient is missing, and where."""
    for place, owner in walk(layer):
        where = f": {place}, {label(owner)}, has no " if place else ": it has no "
        for name in getattr(owner, "param_names", ()):
            if name not in vars(owner):
                return f"{where}{name!r}, which its class declares: set it in __init__"
            if "d" + name not in vars(owner):
                first = "call forward() and backward() first, or backward() does not assign it"
                return f"; {first}{where}'d{name}'"
    return ""
