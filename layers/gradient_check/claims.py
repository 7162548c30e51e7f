"""Which gradient belongs to which input or parameter, and whether it fits."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..base import Array
from ..nested import Path, leaves
from ..tree import walk
from .errors import GradientError
from .frozen_copy import FrozenCopy, gradient_names
from .hints import shape_relation


class Claim(NamedTuple):
    """What backward says of one input, which stands at `path`, or of parameter number `k`."""

    name: str
    path: Path | None
    k: int
    gradient: Array


def input_claims(
    layer: Any, name: str, inputs: tuple[Any, ...], out: Any, dinputs: Any, dtype: np.dtype[Any]
) -> Iterator[Claim]:
    """Yield what backward returned for each float input, once its structure is found right."""
    if not inputs:
        return
    names = _input_names(layer, len(inputs))
    is_loss = [np.shape(leaf) for _, leaf in leaves(out)] == [()] and _is_like_a_loss(layer)
    if len(inputs) == 1:
        dinputs = (dinputs,)
    elif is_loss and isinstance(inputs[0], tuple):
        dinputs = (dinputs, *(None for _ in inputs[1:]))
    elif not isinstance(dinputs, tuple):
        others = any(is_float(leaf) for _, leaf in leaves(inputs[1:]))
        if others and not is_loss:
            raise GradientError(
                f"{name}: backward returned one {type(dinputs).__name__}, expected a tuple of "
                f"{len(inputs)} gradients, one per input (only a loss, which returns one number "
                "from forward(y, t) or has backward(dout=1.0), may leave out the others)"
            )
        dinputs = (dinputs, *(None for _ in inputs[1:]))
    if len(dinputs) != len(inputs):
        raise GradientError(
            f"{name}: backward returned a tuple of {len(dinputs)}, expected {len(inputs)} "
            "gradients, one per input"
        )
    for i, (leaf, gradient) in enumerate(zip(inputs, dinputs, strict=True)):
        if gradient is None and i and is_loss:
            continue  # the target
        yield from _matched(name, f"d{names[i]}", (i,), leaf, gradient, dtype)


def _matched(
    name: str, label: str, path: Path, value: Any, gradient: Any, dtype: np.dtype[Any]
) -> Iterator[Claim]:
    if gradient is None and not any(is_float(leaf) for _, leaf in leaves(value)):
        return
    if isinstance(value, tuple):
        if not isinstance(gradient, tuple) or len(gradient) != len(value):
            came = f"{len(gradient)}" if isinstance(gradient, tuple) else type(gradient).__name__
            raise GradientError(
                f"{name}: {label} is {came}, expected a tuple of {len(value)} gradients"
            )
        for i, (part, dpart) in enumerate(zip(value, gradient, strict=True)):
            yield from _matched(name, f"{label}[{i}]", (*path, i), part, dpart, dtype)
    elif is_float(value) or type(value) is int:
        yield Claim(label, path, -1, _fitting(name, label, value, gradient, dtype, "its input"))


def parameter_claims(copy: FrozenCopy, name: str, dtype: np.dtype[Any]) -> Iterator[Claim]:
    """Yield what backward assigned for each parameter, once params and grads are found right."""
    params = copy.params
    for _, part in walk(copy.layer):
        if not hasattr(part, "param_names") and (listed := list(getattr(part, "params", ()))):
            if any(a is not b for a, b in zip(listed, part.params, strict=True)):
                raise GradientError(f"{name}: params makes new arrays, expected the trained arrays")
            if len(grads := getattr(part, "grads", ())) != len(listed):
                raise GradientError(
                    f"{name}: grads lists {len(grads)}, expected {len(listed)}, as params does"
                )
    try:
        grads = copy.grads
    except AttributeError as error:
        missing = ", ".join(
            f"{place}.d{n}".lstrip(".")
            for place, part in walk(copy.layer)
            for n in getattr(part, "param_names", ())
            if not hasattr(part, f"d{n}")
        )
        raise GradientError(f"{name}: backward assigned no {missing or 'grads'}") from error
    labels = gradient_names(copy.layer)
    for k, (param, grad) in enumerate(zip(params, grads, strict=True)):
        yield Claim(
            labels[k], None, k, _fitting(name, labels[k], param, grad, dtype, "its parameter")
        )


def _fitting(
    name: str, label: str, value: Any, gradient: Any, dtype: np.dtype[Any], whose: str
) -> Array:
    """Return the gradient as an array, which must have the shape and dtype of `value`."""
    if gradient is None:
        hint = " (is a return missing?)" if whose == "its input" else ""
        raise GradientError(f"{name}: {label} is None, expected the gradient of {whose}{hint}")
    try:
        array = np.asarray(gradient)
    except ValueError as error:
        raise GradientError(f"{name}: {label} is not an array of numbers: {error}") from None
    if array.shape != np.shape(value):
        hint = shape_relation(array.shape, np.shape(value))
        raise GradientError(
            f"{name}: {label} has shape {array.shape}, expected {np.shape(value)}, that of {whose}"
            + f" ({hint})" * bool(hint)
        )
    if array.dtype.kind not in "fiub":
        raise GradientError(f"{name}: {label} is of dtype {array.dtype}, expected real numbers")
    is_plain = isinstance(value, int | float) or type(gradient) in (int, float)
    if array.dtype != dtype and not is_plain:
        raise GradientError(
            f"{name}: {label} is {array.dtype}, expected {dtype}, that of what went in"
        )
    if not np.isfinite(array).all():
        index = tuple(np.argwhere(~np.isfinite(array))[0])
        raise GradientError(
            f"{name}: {label}{element(index)} is {array[index]}, as backward has it"
        )
    return array


def title(layer: Any) -> str:
    """Return the layer's repr, or the name of a class that has none."""
    name = " ".join(repr(layer).split())
    if repr(layer) == object.__repr__(layer):
        name = type(layer).__name__
    return name if len(name) <= 80 else name[:77] + "..."


def element(index: tuple[Any, ...]) -> str:
    """Return the index as it is written: ``[1, 0]``, or ``""`` of a single number."""
    return f"[{', '.join(map(str, index))}]" if index else ""


def is_float(leaf: Any) -> bool:
    """Whether it can be differentiated: an array of floats or a Python float."""
    return isinstance(leaf, float) or (isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f")


def _is_like_a_loss(layer: Any) -> bool:
    """Whether it is written as losses are: forward(y, t), or backward(dout=1.0)."""
    forward, backward = arguments_of(layer.forward), arguments_of(layer.backward)
    return [p.name for p in forward[1:2]] == ["t"] or any(
        p.default is not p.empty for p in backward[:1]
    )


def _input_names(layer: Any, n: int) -> list[str]:
    names = [p.name for p in arguments_of(layer.forward) if p.kind is not p.VAR_POSITIONAL]
    return names[:n] if len(names) >= n else ["x"] if n == 1 else [f"inputs[{i}]" for i in range(n)]


def arguments_of(function: Any) -> list[inspect.Parameter]:
    """Return what a function takes, or nothing if that is not known."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # not a function written in Python
        return []
