"""Claims: the gradient of each input and parameter that backward returned, of the right shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..base import Array
from ..checks import arguments_of
from ..nested import Path, leaves
from ..protocols import LayerLike
from ..tree import walk
from .errors import GradientError
from .frozen_copy import FrozenCopy, gradient_names
from .hints import shape_relation


class Claim(NamedTuple):
    """The gradient that backward gives for the input at `path`, or for parameter number `k`."""

    name: str
    path: Path | None
    k: int
    gradient: Array


def input_claims(
    layer: LayerLike,
    name: str,
    inputs: tuple[Any, ...],
    out: Any,
    dinputs: Any,
    dtype: np.dtype[Any],
) -> Iterator[Claim]:
    """Yield what backward returned for each float input, after checking its structure."""
    if not inputs:
        return
    if not (isinstance(dinputs, tuple) and len(dinputs) == len(inputs)):
        while len(inputs) > 1 and inputs[-1] is None:  # an optional one that was not given
            inputs = inputs[:-1]
    names = _input_names(layer, len(inputs))
    others = any(is_float(leaf) for _, leaf in leaves(inputs[1:]))
    is_number = [np.shape(leaf) for _, leaf in leaves(out)] == [()]
    is_loss = is_number and (_is_like_a_loss(layer) or not others)
    is_tuple = isinstance(dinputs, tuple)
    y_is_tuple = is_loss and isinstance(inputs[0], tuple)
    if len(inputs) == 1 or (y_is_tuple if is_tuple else is_loss):
        dinputs = (dinputs, *(None for _ in inputs[1:]))
    elif not is_tuple or len(dinputs) != len(inputs):
        came = f"a tuple of {len(dinputs)}" if is_tuple else f"one {type(dinputs).__name__}"
        raise GradientError(
            f"{name}: backward returned {came}, expected a tuple of {len(inputs)} gradients, one "
            "per input, None for integers (only a loss, which returns one number from "
            "forward(y, t) or has backward(dout=1.0), may leave out the others)"
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


def parameter_claims(copy: FrozenCopy, name: str) -> Iterator[Claim]:
    """Yield what backward assigned for each parameter, after checking params and grads."""
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
        whose = "" if error.obj is copy.layer else f" of {title(error.obj)}"
        raise GradientError(f"{name}: backward assigned no {error.name}{whose}") from error
    labels = gradient_names(copy.layer)
    for k, (param, grad) in enumerate(zip(params, grads, strict=True)):
        if grad is not None and not hasattr(grad, "dtype"):
            raise GradientError(
                f"{name}: backward says {labels[k]} is a {type(grad).__name__}, expected an array"
            )
        fitting = _fitting(name, labels[k], param, grad, copy.dtype, "its parameter")
        yield Claim(labels[k], None, k, fitting)


def _fitting(
    name: str, label: str, value: Any, gradient: Any, dtype: np.dtype[Any], whose: str
) -> Array:
    """Return the gradient as an array, which must have the shape and dtype of `value`."""
    says = f"{name}: backward says {label} is"
    array = numbers(says, gradient, None if isinstance(value, int | float) else dtype)
    if array.shape != np.shape(value):
        hint = shape_relation(array.shape, np.shape(value))
        raise GradientError(
            f"{name}: {label} has shape {array.shape}, expected {np.shape(value)}, that of {whose}"
            + f" ({hint})" * bool(hint)
        )
    return array


def numbers(says: str, value: Any, dtype: np.dtype[Any] | None) -> Array:
    """Return a value as an array of finite real numbers, of the dtype unless a Python number."""
    if value is None:
        raise GradientError(f"{says} None; is a return missing?")
    if not isinstance(value, np.ndarray | np.generic | int | float):
        raise GradientError(f"{says} a {type(value).__name__}, expected an array or a number")
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise GradientError(f"{says} of dtype {array.dtype}, expected real numbers")
    if dtype is not None and array.dtype != dtype and type(value) not in (int, float):
        hint = "; a layer keeps float32: np.zeros(..., dtype=x.dtype)" * (dtype == np.float32)
        raise GradientError(f"{says} {array.dtype}, expected {dtype}, that of what went in{hint}")
    if not np.isfinite(array).all():
        index = tuple(np.argwhere(~np.isfinite(array))[0])
        raise GradientError(f"{says} {array[index]}" + f" at {element(index)}" * bool(index))
    return array


def title(layer: object) -> str:
    """Return the layer's repr, or the name of a class that has none."""
    name = " ".join(repr(layer).split())
    if repr(layer) == object.__repr__(layer):
        name = type(layer).__name__
    return name if len(name) <= 80 else name[:77] + "..."


def element(index: tuple[Any, ...]) -> str:
    """Return the index as it is written: ``[1, 0]``, or ``""`` for a single number."""
    return f"[{', '.join(map(str, index))}]" if index else ""


def is_float(leaf: Any) -> bool:
    """Whether it can be differentiated: an array of floats or a Python float."""
    return isinstance(leaf, float) or (isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f")


def _is_like_a_loss(layer: LayerLike) -> bool:
    """Whether its signature is that of a loss: forward(y, t), or backward(dout=1.0)."""
    forward, backward = arguments_of(layer.forward), arguments_of(layer.backward)
    return [p.name for p in forward[1:2]] == ["t"] or any(
        p.default is not p.empty for p in backward[:1]
    )


def _input_names(layer: LayerLike, n: int) -> list[str]:
    names = [p.name for p in arguments_of(layer.forward) if p.kind is not p.VAR_POSITIONAL]
    return names[:n] if len(names) >= n else ["x"] if n == 1 else [f"inputs[{i}]" for i in range(n)]
