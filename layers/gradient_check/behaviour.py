"""Laws of forward and backward whatever they compute: what they write, keep and repeat."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from ..base import Array
from ..nested import at, leaves, map_leaves
from ..protocols import LayerLike
from ..tree import layers_of, nearest_backward, params_and_grads, walk
from ..undeclared import Watch, check_declared
from .claims import Claim, element, input_claims, is_float, numbers, parameter_claims, title
from .errors import GradientError
from .frozen_copy import FrozenCopy, gradient_names


class Observation(NamedTuple):
    """One forward and backward of a layer's frozen copy.

    `returned` is what the two returned; `out` is a copy of the first.
    """

    title: str
    copy: FrozenCopy
    inputs: tuple[Any, ...]
    out: Any
    dout: Any
    returned: tuple[Any, Any]
    claims: list[Claim]


def observe(
    layer: LayerLike,
    inputs: tuple[Any, ...],
    rng: np.random.Generator,
    dtype: DTypeLike = np.float64,
    arrange: Callable[[Array], Array] = np.copy,
) -> Observation:
    """Run forward and backward on a copy of the layer in `dtype`, and check what they write into.

    `arrange` makes the copy of each array that the layer gets.
    """
    inputs, name = as_floats(inputs, dtype), title(layer)
    try:
        check_declared(layer)
    except (TypeError, ValueError, AttributeError) as error:
        raise GradientError(str(error)) from error
    copy = FrozenCopy(layer, dtype)
    watch = Watch(copy.layer)
    given = _copied(inputs, arrange)
    out = copy.forward(*given)
    require_same(f"{name}: forward writes into its input", inputs, given, exact=True)
    for path, leaf in leaves(out):
        is_array = not isinstance(leaf, float) and np.asarray(leaf).dtype.kind == "f"
        numbers(f"{name}: forward returned{at(path)}", leaf, copy.dtype if is_array else None)
    before, dout = _copied(out), random_like(out, rng, dtype)
    given_dout = _copied(dout, arrange)
    try:
        dinputs = copy.backward(given_dout)
    except AttributeError as error:
        if error.obj is not copy.layer:
            raise
        raise GradientError(
            f"{name}: backward uses self.{error.name}, which forward did not save"
        ) from error
    text = f"{name}: backward writes into"
    require_same(f"{text} dout", dout, given_dout, exact=True)
    require_same(f"{text} the input of forward", inputs, given, exact=True)
    require_same(f"{text} the output of forward", before, out, exact=True)
    claims = [
        *input_claims(layer, name, inputs, out, dinputs, copy.dtype),
        *parameter_claims(copy, name),
    ]
    if found := watch.undeclared():
        raise GradientError(found)
    claims = [claim._replace(gradient=claim.gradient.copy()) for claim in claims]
    return Observation(name, copy, given, before, given_dout, (out, dinputs), claims)


def check_repetition(layer: LayerLike, seen: Observation, rng: np.random.Generator) -> None:
    """Call forward and backward again: the results are the same, and earlier ones unchanged."""
    name, used, floor = seen.title, seen.copy, rounding_of(seen.dout)
    names, before = gradient_names(used.layer), _copied(seen.returned)
    grads = _copied(tuple(used.grads))
    with under(name, "in a second backward"):
        again = used.backward(_copied(seen.dout))
    text = f"{name}: backward twice gives two answers"
    require_same(text, before[1], again, floor=floor)
    text += ", so gradients are accumulated, not assigned"
    require_same(text, grads, tuple(used.grads), names, floor)
    with under(name, "in forward of an equal copy"):
        twin = FrozenCopy(layer, used.dtype).forward(*_copied(seen.inputs))
    text = f"{name}: two copies with equal Generators disagree; draw from a Generator in the layer"
    require_same(text, seen.out, twin)
    new, other = FrozenCopy(layer, used.dtype), map_leaves(another, seen.inputs)
    try:
        out = new.forward(*_copied(other))
    except ValueError:
        return  # the layer does not take this
    with under(name, "in a second forward"):
        then = used.forward(*_copied(other))
    text = f"{name}: a second forward keeps something of the first, in"
    has_buffer = any(getattr(part, "buffer_names", ()) for _, part in walk(layer))
    hint = " (in training the output may not depend on a buffer)" * has_buffer
    require_same(f"{text} its output{hint}", out, then)
    dout = random_like(out, rng, used.dtype)
    floor = rounding_of(dout)
    with under(name, "in a second forward and backward"):
        dinputs, then = new.backward(_copied(dout)), used.backward(_copied(dout))
    require_same(f"{text} what backward returns", dinputs, then, floor=floor)
    require_same(f"{text} a gradient", tuple(new.grads), tuple(used.grads), names, floor)
    text = f"{name}: a later call overwrites"
    require_same(f"{text} the output of forward", seen.out, seen.returned[0], exact=True)
    require_same(f"{text} what backward returned", before[1], seen.returned[1], exact=True)


def check_backward_params(seen: Observation) -> None:
    """Compare `backward_params`, if a layer or a part has it, with its verified `backward`.

    Each gets the dout that comes to its backward. The copy that was observed is used up.
    """
    for place, part in list(walk(seen.copy.layer)):
        kind: Any = type(part)
        if nearest_backward(kind) == "backward_params":  # which training calls
            place = f"{place}." if place else ""
            part.__class__ = _comparing(kind, f"{seen.title}: {place}backward_params")
    seen.copy.forward(*seen.inputs)
    seen.copy.backward(seen.dout)


def _comparing(kind: Any, name: str) -> type:
    """Return a subclass whose backward runs backward_params too and compares the gradients."""

    def backward(self: Any, *dout: Any) -> Any:
        self.__class__ = kind
        before, result = _copied(dout), self.backward(*dout)
        expected = _copied(tuple(params_and_grads(layers_of(self))[1]))
        for _, part in walk(self):
            for param in getattr(part, "param_names", ()):
                setattr(part, f"d{param}", np.full_like(getattr(part, param), np.nan))
        with under(name, "called with what came to backward"):
            self.backward_params(*dout)
        require_same(f"{name} writes into dout", before, dout, exact=True)
        names, came = gradient_names(self), tuple(params_and_grads(layers_of(self))[1])
        for label, grad in zip(names, came, strict=True):
            if np.isnan(grad).all() and np.size(grad):
                raise GradientError(f"{name} assigned no {label}")
        text = f"{name} assigns other gradients than backward"
        require_same(text, expected, came, names, rounding_of(dout))
        return result

    return type(kind.__name__, (kind,), {"backward": backward})


def rounding_of(dout: Any) -> float:
    """Return the rounding error of a sum over `dout`, however small that sum is."""
    arrays = [np.asarray(leaf) for _, leaf in leaves(dout) if is_float(leaf)]
    return sum(64 * float(np.finfo(array.dtype).eps * np.abs(array).sum()) for array in arrays)


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


def another(leaf: Any) -> Any:
    """Return other data of the same kind: reversed, or else slightly smaller."""
    if isinstance(leaf, np.ndarray) and not np.array_equal(np.flip(leaf), leaf):
        return np.flip(leaf).copy()
    return 0.9 * leaf if is_float(leaf) else leaf


def _copied(value: Any, copy: Callable[[Array], Array] = np.copy) -> Any:
    return map_leaves(lambda leaf: copy(leaf) if isinstance(leaf, np.ndarray) else leaf, value)


def require_same(
    text: str,
    first: Any,
    then: Any,
    names: list[str] | None = None,
    floor: float = 0.0,
    exact: bool = False,
) -> None:
    """Compare two results, whose sums may have been rounded in different orders."""
    both = list(leaves(first)), list(leaves(then))
    if [path for path, _ in both[0]] != [path for path, _ in both[1]]:
        raise GradientError(f"{text}: {len(both[0])} values, then {len(both[1])}")
    for (path, a), (_, b) in zip(*both, strict=True):
        which = names[path[0]] if names else at(path) if len(both[0]) > 1 else ""
        if np.shape(a) != np.shape(b):
            raise GradientError(f"{text}: {which} of shape {np.shape(a)}, then {np.shape(b)}")
        if getattr(a, "dtype", None) != getattr(b, "dtype", None):
            raise GradientError(f"{text}: {which} of type {a.dtype}, then {np.asarray(b).dtype}")
        if a is None or np.asarray(a).dtype.kind not in "fiub":
            continue
        x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
        if np.array_equal(x, y):
            continue
        relative = 0.0 if exact else 1e-5 if getattr(a, "dtype", None) == np.float32 else 1e-9
        slack = relative * np.abs(x).max(initial=0.0) + floor
        wrong = ~(np.isclose(x, y, rtol=0, atol=slack, equal_nan=exact))
        if wrong.any():
            index = tuple(np.argwhere(wrong)[0])
            where = f"{which}{element(index)}" or "it"
            raise GradientError(f"{text}: {where} was {x[index]:.6g}, then {y[index]:.6g}")


@contextmanager
def under(name: str, circumstances: str) -> Iterator[None]:
    """Add to an error in which circumstances a law is broken, or the layer `name` raises."""
    try:
        yield
    except GradientError as error:
        raise GradientError(f"{error}, {circumstances}") from error
    except Exception as error:
        came = f"raises {type(error).__name__}: {error}"
        raise GradientError(f"{name}: {came}, {circumstances}") from error
