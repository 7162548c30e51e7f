"""How forward and backward must behave, whatever they compute: what they write, keep and repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from ..base import Array
from ..nested import leaves, map_leaves
from ..tree import params_and_grads, walk
from ..undeclared import Watch, check_declared
from .claims import (
    Claim,
    element,
    input_claims,
    is_float,
    parameter_claims,
    title,
)
from .errors import GradientError
from .frozen_copy import FrozenCopy, gradient_names


class Observation(NamedTuple):
    """One forward and backward of a layer's frozen copy."""

    title: str
    copy: FrozenCopy
    inputs: tuple[Any, ...]
    out: Any
    dout: Any
    claims: list[Claim]


def observe(
    layer: Any,
    inputs: tuple[Any, ...],
    rng: np.random.Generator,
    dtype: DTypeLike = np.float64,
    arrange: Callable[[Array], Array] = np.copy,
) -> Observation:
    """Run forward and backward several times on copies of the layer and watch what they do.

    All is done in `dtype`; `arrange` makes the copy of each array that the layer gets.
    """
    inputs, name = as_floats(inputs, dtype), title(layer)
    try:
        check_declared(layer)
    except (TypeError, ValueError, AttributeError) as error:
        raise GradientError(str(error)) from error
    copy = FrozenCopy(layer, dtype)
    watch = Watch(copy.layer)

    def arranged(value: Any) -> Any:
        return map_leaves(lambda v: arrange(v) if isinstance(v, np.ndarray) else v, value)

    given = arranged(inputs)
    out = copy.forward(*given)
    _unchanged(f"{name}: forward writes into its input", inputs, given)
    _check_output(name, out, np.dtype(dtype))
    out_before, dout = _snapshot(out), random_like(out, rng, dtype)
    given_dout = arranged(dout)
    try:
        dinputs = copy.backward(given_dout)
    except AttributeError as error:
        if error.obj is not copy.layer:
            raise
        raise GradientError(
            f"{name}: backward uses self.{error.name}, which forward did not save"
        ) from error
    _unchanged(f"{name}: backward writes into dout", dout, given_dout)
    _unchanged(f"{name}: backward writes into the input of forward", inputs, given)
    _unchanged(f"{name}: backward writes into the output of forward", out_before, out)
    claims = [
        *input_claims(layer, name, inputs, out, dinputs, np.dtype(dtype)),
        *parameter_claims(copy, name, np.dtype(dtype)),
    ]
    if found := watch.undeclared():
        raise GradientError(found)
    claims = [claim._replace(gradient=claim.gradient.copy()) for claim in claims]
    dinputs_before, grads_before = _snapshot(dinputs), _snapshot(tuple(copy.grads))

    with _repeating(f"{name}: a second backward"):
        again = copy.backward(arranged(dout))
    floor = rounding_of(dout)
    require_same(f"{name}: backward twice gives two answers", dinputs_before, again, floor=floor)
    require_same(
        f"{name}: backward twice gives two answers, so gradients are accumulated, not assigned",
        grads_before,
        tuple(copy.grads),
        gradient_names(copy.layer),
        floor,
    )
    with _repeating(f"{name}: forward of an equal copy"):
        twin = FrozenCopy(layer, dtype).forward(*arranged(inputs))
    require_same(
        f"{name}: two copies with equal Generators disagree; draw from a Generator in the layer",
        out_before,
        twin,
    )
    _check_second_forward(layer, name, copy, map_leaves(another, inputs), rng, dtype)
    _unchanged(f"{name}: a later call overwrites the output of forward", out_before, out)
    _unchanged(f"{name}: a later call overwrites what backward returned", dinputs_before, dinputs)
    return Observation(name, copy, given, out_before, given_dout, claims)


def check_backward_params(seen: Observation) -> None:
    """Compare `backward_params`, where a layer or a part has it, with its `backward`.

    It is called with the dout that came to the same layer's backward, where it has been proven.
    """
    calls: list[tuple[str, Any, Any, list[Any]]] = []
    plain: dict[type, type] = {}

    def recorded(kind: type, place: str) -> type:
        def backward(self: Any, *dout: Any) -> Any:
            result = kind.backward(self, *dout)  # type: ignore[attr-defined]
            calls.append((place, self, dout, [g.copy() for g in params_and_grads(self)[1]]))
            return result

        new = type(kind.__name__, (kind,), {"backward": backward})
        plain[new] = kind
        return new

    seen.copy.forward(*seen.inputs)
    found = [(place, part) for place, part in walk(seen.copy.layer) if _offers(type(part))]
    for place, part in found:
        part.__class__ = recorded(type(part), place)
    try:
        seen.copy.backward(seen.dout)
    finally:
        for _, part, *_ in (*found, *calls):  # calls of copies that a layer makes of its parts too
            part.__class__ = plain.get(type(part), type(part))
    for place, part, dout, expected in calls:
        name = f"{seen.title}: {place + '.' if place else ''}backward_params"
        for owner in (owner for _, owner in walk(part)):
            for param in getattr(owner, "param_names", ()):
                setattr(owner, f"d{param}", np.full_like(getattr(owner, param), np.nan))
        before = _snapshot(dout)
        with _repeating(name):
            part.backward_params(*dout)
        _unchanged(f"{name} writes into dout", before, dout)
        came = params_and_grads(part)[1]
        for label, grad in zip(gradient_names(part), came, strict=True):
            if np.isnan(grad).all() and np.size(grad):
                raise GradientError(f"{name} assigned no {label}")
        text = f"{name} assigns other gradients than backward"
        floor = rounding_of(dout)
        require_same(text, tuple(expected), tuple(came), gradient_names(part), floor)


def _offers(kind: type) -> bool:
    """Whether training calls its backward_params: no nearer base has a backward of its own."""
    names = ("backward_params", "backward")
    found = (name for cls in kind.__mro__ for name in names if name in vars(cls))
    return next(found, "") == "backward_params"


def rounding_of(dout: Any) -> float:
    """Return what rounding may add to a sum over `dout`, however small that sum is."""
    arrays = [np.asarray(leaf) for _, leaf in leaves(dout) if leaf is not None]
    return sum(
        64 * float(np.finfo(a.dtype if a.dtype.kind == "f" else float).eps * np.abs(a).sum())
        for a in arrays
    )


def as_floats(value: Any, dtype: DTypeLike = np.float64) -> Any:
    """Copy a nested tuple: lists become arrays, float arrays get the dtype, the rest stays."""

    def convert(leaf: Any) -> Any:
        if isinstance(leaf, list | np.ndarray | np.generic) and not isinstance(leaf, float):
            array: Array = np.array(leaf)
            return array.astype(dtype) if array.dtype.kind == "f" else array
        return leaf

    return map_leaves(convert, value)


def random_like(value: Any, rng: np.random.Generator, dtype: DTypeLike = np.float64) -> Any:
    """Return normal numbers in the structure and shapes of `value`."""
    return map_leaves(
        lambda leaf: (
            np.asarray(rng.standard_normal(leaf.shape), dtype)
            if isinstance(leaf, np.ndarray)
            else float(rng.standard_normal())
        ),
        value,
    )


def _check_output(name: str, out: Any, dtype: np.dtype[Any]) -> None:
    for path, leaf in leaves(out):
        at = f"{name}: forward returned" + "".join(f"[{i}]" for i in path)
        if leaf is None:
            raise GradientError(f"{at} None; is a return missing?")
        if not isinstance(leaf, np.ndarray | np.generic | int | float):
            raise GradientError(f"{at} a {type(leaf).__name__}, expected an array or a number")
        array = np.asarray(leaf)
        if array.dtype.kind not in "fiub":
            raise GradientError(f"{at} an array of dtype {array.dtype}, expected real numbers")
        if not isinstance(leaf, int | float) and array.dtype.kind == "f" and array.dtype != dtype:
            raise GradientError(f"{at} {array.dtype}, expected {dtype}, that of what went in")
        if not np.isfinite(array).all():
            index = tuple(np.argwhere(~np.isfinite(array))[0])
            raise GradientError(f"{at} {array[index]} at {element(index) or 'its one number'}")


def _check_second_forward(
    layer: Any,
    name: str,
    used: FrozenCopy,
    other: tuple[Any, ...],
    rng: np.random.Generator,
    dtype: DTypeLike,
) -> None:
    """Compare a layer that has been used with a new copy, on other inputs."""
    new = FrozenCopy(layer, dtype)
    try:
        expected = new.forward(*_snapshot(other))
    except ValueError:
        return  # not what this layer takes
    text = f"{name}: a second forward keeps something of the first"
    with _repeating(f"{name}: a second forward"):
        came = used.forward(*_snapshot(other))
        require_same(f"{text}, in its output", expected, came)
        dout = random_like(expected, rng, dtype)
        expected, came = new.backward(_snapshot(dout)), used.backward(_snapshot(dout))
    floor = rounding_of(dout)
    require_same(f"{text}, in what backward returns", expected, came, floor=floor)
    require_same(
        f"{text}, in a gradient",
        tuple(new.grads),
        tuple(used.grads),
        gradient_names(used.layer),
        floor,
    )


def another(leaf: Any) -> Any:
    """Return other data of the same kind: from last to first, or else a bit less."""
    if isinstance(leaf, np.ndarray) and not np.array_equal(np.flip(leaf), leaf):
        return np.flip(leaf).copy()
    return 0.9 * leaf if is_float(leaf) else leaf


def _snapshot(value: Any) -> Any:
    return map_leaves(lambda leaf: leaf.copy() if isinstance(leaf, np.ndarray) else leaf, value)


def _unchanged(text: str, before: Any, after: Any) -> None:
    for (path, a), (_, b) in zip(leaves(before), leaves(after), strict=True):
        if isinstance(a, np.ndarray) and not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
            index = tuple(np.argwhere(~((a == b) | ((a != a) & (b != b))))[0])
            which = "".join(f"[{i}]" for i in path) if len(list(leaves(before))) > 1 else ""
            at = f"{which}{element(index)}" or "it"
            raise GradientError(f"{text}: {at} was {a[index]:.6g} and became {b[index]:.6g}")


def require_same(
    text: str, first: Any, then: Any, names: list[str] | None = None, floor: float = 0.0
) -> None:
    """Compare two answers, which may differ in the order in which a sum was rounded."""
    both = list(leaves(first)), list(leaves(then))
    if [path for path, _ in both[0]] != [path for path, _ in both[1]]:
        raise GradientError(f"{text}: {len(both[0])} values, then {len(both[1])}")
    for (path, a), (_, b) in zip(*both, strict=True):
        at = names[path[0]] if names else "".join(f"[{i}]" for i in path)
        if np.shape(a) != np.shape(b):
            raise GradientError(f"{text}: {at} of shape {np.shape(a)}, then {np.shape(b)}")
        if getattr(a, "dtype", None) != getattr(b, "dtype", None):
            raise GradientError(f"{text}: {at} of type {a.dtype}, then {np.asarray(b).dtype}")
        if a is None or np.asarray(a).dtype.kind not in "fiub":
            continue
        x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
        slack = 1e-5 if getattr(a, "dtype", None) == np.float32 else 1e-9
        wrong = ~(np.abs(x - y) <= slack * np.abs(x).max(initial=0.0) + floor)
        if wrong.any():
            index = tuple(np.argwhere(wrong)[0])
            raise GradientError(
                f"{text}: {at + element(index) or 'it'} was {x[index]:.6g}, then {y[index]:.6g}"
            )


@contextmanager
def _repeating(text: str) -> Iterator[None]:
    try:
        yield
    except GradientError:
        raise
    except Exception as error:
        raise GradientError(f"{text} raised {type(error).__name__}: {error}") from error
