"""Parameters that would never train: backward assigns their gradients, but no list has them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._frozen_copy import FrozenCopy, memory_of
from ._gradient_claims import title
from ._parts import walk
from .base import Layer
from .gradient_check import GradientError


def check_names(layer: Any) -> None:
    """See that the `param_names` of the layer and its parts are tuples of names of attributes."""
    for _, part in walk(layer):
        names = getattr(part, "param_names", ())
        if isinstance(names, str):
            raise GradientError(
                f"{title(part)}: param_names is the string {names!r}, expected a tuple: "
                f"param_names = ({names!r},)"
            )
        for name in names if isinstance(part, Layer) else ():
            if not hasattr(part, name):
                raise GradientError(
                    f"{title(part)}: param_names is {names}, but there is no {name!r}: set "
                    f"self.{name} in __init__, or mend the name"
                )


class Untrained:
    """Tells from a layer before forward and after backward which parameters are forgotten.

    A forgotten parameter ``X`` is a float array which the constructor set and forward left alone,
    for which backward assigned ``dX``, and which is neither in ``params`` nor a buffer.
    """

    def __init__(self, copy: FrozenCopy) -> None:
        self.copy = copy
        parts = [part for _, part in walk(copy.layer)]
        self.before = [
            (part, {name: (a, a.copy() if _is_array(a) else a) for name, a in vars(part).items()})
            for part in parts
            if hasattr(part, "__dict__")
        ]

    def check(self) -> None:
        """Raise a GradientError that names the forgotten parameters and what to do."""
        trained = {id(memory_of(param)) for param in self.copy.params}
        for part, before in self.before:
            names = tuple(
                name
                for name, (array, _) in before.items()
                if _is_array(array)
                and not _is_changed(part, name, before)
                and _is_changed(part, f"d{name}", before)
                and id(memory_of(array)) not in trained
                and name not in getattr(part, "buffer_names", ())
            )
            if names:
                raise GradientError(_message(part, names))


def _message(part: Any, names: tuple[str, ...]) -> str:
    assigned = ", ".join(f"'d{name}'" for name in names)
    lost = ", ".join(map(repr, names))
    listed = tuple(getattr(part, "param_names", ()))
    if not isinstance(part, Layer):
        but = (
            "params leaves out" if hasattr(part, "params") else "there are no params and grads for"
        )
        return (
            f"{title(part)}: backward assigns {assigned}, but {but} {lost}, which would not be "
            f"trained; derive from Layer, with param_names = {listed + names}"
        )
    if set(names) <= set(listed):
        return (
            f"{title(part)}: backward assigns {assigned}, but the params of the layer around it "
            f"leave out {lost}, which would not be trained; derive that one from Layer"
        )
    return (
        f"{title(part)}: backward assigns {assigned}, but param_names is {listed}: {lost} would "
        f"not be trained; param_names = {listed + names}"
    )


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _is_changed(part: Any, name: str, before: dict[str, Any]) -> bool:
    """Whether the attribute is there and is another array or number, or has other contents."""
    now = vars(part).get(name)
    array, value = before.get(name, (None, None))
    if now is not array:
        return _is_array(now) or isinstance(now, float | np.floating)
    return _is_array(now) and not np.array_equal(now, value, equal_nan=True)
