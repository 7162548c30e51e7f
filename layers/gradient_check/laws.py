"""The laws of layers besides correct gradients: modes, dtypes, memory layouts, batches."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..base import Array
from ..checks import arguments_of
from ..nested import leaves, map_leaves
from ..protocols import LayerLike
from ..tree import is_layer, layers_of, params_and_grads, state, twin
from .behaviour import (
    another,
    as_floats,
    check_backward_params,
    check_repetition,
    observe,
    random_like,
    require_same,
    rounding_of,
    under,
)
from .claims import is_float, title
from .comparison import compare
from .errors import GradientError
from .frozen_copy import FrozenCopy


def check_laws(
    layer_factory: Callable[..., Any],
    inputs: tuple[Any, ...],
    rng: np.random.Generator,
    batched: bool,
) -> None:
    """Do what `layer_laws` says."""
    seed = int(rng.integers(2**32))
    layer = _make(layer_factory, seed)
    name = title(layer)
    compare(layer, inputs, rng)
    _check_two_instances(layer_factory, seed, inputs)
    with under(name, "after its parameters changed in place"):
        _check_changed_parameters(layer, inputs, rng)
    if hasattr(layer, "eval") or hasattr(layer, "training"):
        with under(name, "in evaluation mode"):
            _check_evaluation(layer, _make(layer_factory, seed + 1), inputs, rng)
    if "weights" in [p.name for p in arguments_of(layer.forward)[2:]] and len(inputs) == 2:
        with under(name, "with weights"):
            _check_weights(layer, inputs, rng)
    if not all(isinstance(leaf, int | float) for _, leaf in leaves(inputs)):
        floats = any(is_float(np.asarray(leaf)) for _, leaf in leaves(inputs))
        hint = "" if floats else " (with integers NumPy makes float64; are floats meant?)"
        with under(name, "in float32" + hint):  # Python's numbers are all of float64
            seen = observe(layer, inputs, rng, np.float32)
            check_repetition(layer, seen, rng)
            check_backward_params(seen)
    _check_arrangements(layer, inputs)
    arrays = [leaf for _, leaf in leaves(as_floats(inputs)) if isinstance(leaf, np.ndarray)]
    if batched and arrays and arrays[0].ndim > 1:
        with under(name, "with a batch of one"):
            _check_batch_of_one(layer, inputs, len(arrays[0]), rng)


def _check_two_instances(
    layer_factory: Callable[..., Any], seed: int, inputs: tuple[Any, ...]
) -> None:
    """Run one, or predict, between forward and backward of the other: as users have them."""
    layer, other = _make(layer_factory, seed), _make(layer_factory, seed)
    name, values, rng = title(layer), as_floats(inputs), np.random.default_rng(0)
    out, then = layer.forward(*values), other.forward(*values)
    if "rng" in [p.name for p in arguments_of(layer_factory)]:
        require_same(f"{name}: two layers made with equal Generators disagree", out, then)
    dout = random_like(out, rng)
    before = layer.backward(dout), *(np.copy(g) for g in params_and_grads(layers_of(layer))[1])

    def require_undisturbed(by: str) -> None:
        after = layer.backward(dout), *params_and_grads(layers_of(layer))[1]
        require_same(f"{name}: {by}", before, after, None, rounding_of(dout))

    text = "disturbs it; is a value kept in"
    predicting, others = twin(layer), map_leaves(another, values)
    _evaluate(predicting)
    try:
        other.backward(random_like(other.forward(*others), rng))
        require_undisturbed(f"another instance of the class {text} the class or module?")
        predicting.forward(*others)
        require_undisturbed(f"predict() {text} an object that its constructor made?")
    except ValueError:
        return  # the layer does not take this


def _check_changed_parameters(
    layer: LayerLike, inputs: tuple[Any, ...], rng: np.random.Generator
) -> None:
    """Change the parameters of a layer that has been used, as an optimizer does."""
    used = FrozenCopy(layer)
    if not used.params:
        return
    used.backward(random_like(used.forward(*as_floats(inputs)), rng))
    for param in used.params:
        param += 0.1 * (np.abs(param).max(initial=0.0) or 1.0) * rng.standard_normal(param.shape)
    compare(used.layer, inputs, rng, again=True)


def _check_evaluation(
    layer: LayerLike, other: Any, inputs: tuple[Any, ...], rng: np.random.Generator
) -> None:
    """Evaluate after a training forward on other data, of which only the state may remain.

    The state is loaded into the other layer, which the factory made of another seed.
    """
    used, new, values = FrozenCopy(layer), FrozenCopy(other), as_floats(inputs)
    arrays = state(used.layer)
    used.forward(*map_leaves(another, values))
    for key, array in state(used.layer).items():
        if array is not arrays.get(key):  # what holds the old one could not restore it
            raise GradientError(
                f"{title(layer)}: forward put another array in {key!r}; update it in place, such "
                "as running_mean += momentum * (mean - running_mean)"
            )
    for array, value in zip(state(new.layer).values(), state(used.layer).values(), strict=True):
        array[...] = value
    for copy in (used, new):
        _evaluate(copy.layer)
    again = FrozenCopy(used.layer).layer
    out = again.forward(*values)
    require_same(f"{title(layer)}: forward twice gives two answers", out, again.forward(*values))
    text = (
        f"{title(layer)}: a new layer with the same state_dict gives another answer; declare in "
        "param_names or buffer_names what __init__ draws, or a training forward leaves"
    )
    require_same(text, out, new.layer.forward(*values))
    compare(used.layer, inputs, rng, again=True)


def _check_weights(layer: LayerLike, inputs: tuple[Any, ...], rng: np.random.Generator) -> None:
    """Compare a weight of 2 with a row that is given twice."""
    y, t = as_floats(inputs)
    rows = [len(leaf) for _, leaf in leaves((y, t)) if np.ndim(leaf)]
    if len(rows) < 2 or min(rows) != max(rows):
        return
    weights = np.where(np.arange(rows[0]) == 0, 2.0, 1.0)
    twice = map_leaves(lambda leaf: np.concatenate([leaf[:1], leaf]), (y, t))
    text = f"{title(layer)}: a row of weight 2 is not a row given twice"
    require_same(text, layer.forward(*twice), layer.forward(y, t, weights))
    compare(layer, (y, t, rng.uniform(0.5, 2.0, rows[0])), rng, again=True)


def _check_arrangements(layer: LayerLike, inputs: tuple[Any, ...]) -> None:
    """Compare arrays in other memory layouts with plain ones, under the same upstream gradient."""

    def read_only(array: Array) -> Array:
        array.flags.writeable = False
        return array

    def fortran(array: Array) -> Array:
        return read_only(np.array(array, order="F"))

    def gaps(array: Array) -> Array:  # every second element of a larger array, backwards
        wide = np.zeros((*array.shape, 2), array.dtype)[..., 0]
        wide = wide[..., ::-1] if array.ndim else wide
        wide[...] = array
        return read_only(wide)

    plain = observe(layer, inputs, np.random.default_rng(0))
    floor = rounding_of(plain.dout)
    for layout, arrange in (("in Fortran's order", fortran), ("that have gaps in memory", gaps)):
        with under(plain.title, f"with read-only arrays {layout}"):
            other = observe(layer, inputs, np.random.default_rng(0), arrange=arrange)
            require_same(f"{plain.title}: forward gives another answer", plain.out, other.out)
            for a, b in zip(plain.claims, other.claims, strict=True):
                text = f"{plain.title}: {a.name} is another"
                require_same(text, a.gradient, b.gradient, None, floor)


def _check_batch_of_one(
    layer: LayerLike, inputs: tuple[Any, ...], rows: int, rng: np.random.Generator
) -> None:
    """Run the first row alone; what batch statistics refuse in training works in evaluation."""

    def first(n: int) -> Any:
        return map_leaves(
            lambda leaf: leaf[:n] if np.shape(leaf)[:1] == (rows,) else leaf, as_floats(inputs)
        )

    try:
        FrozenCopy(layer).forward(*first(1))
    except ValueError:
        layer = FrozenCopy(layer).layer
        _evaluate(layer)
    compare(layer, first(1), rng, again=True)
    used, new = FrozenCopy(layer), FrozenCopy(layer)
    batch, fewer, one = (used.forward(*first(n)) for n in (rows, max(rows - 1, 1), 1))
    text = f"{title(layer)}: forward gives another answer after a larger batch"
    require_same(text, new.forward(*first(1)), one)
    # An axis that shrinks with the batch keeps the part of one row; the others keep their length.
    shapes = [[np.shape(leaf) for _, leaf in leaves(value)] for value in (batch, fewer, one)]
    for many, less, came in zip(*shapes, strict=True):
        expected = tuple(n - (rows - 1) * (n - m) for n, m in zip(many, less, strict=False))
        if len(many) == len(less) and came != expected:
            raise GradientError(
                f"{title(layer)}: the output has shape {came}, expected {expected}, as "
                f"{rows} rows give {many}"
            )


def _make(layer_factory: Callable[..., Any], seed: int) -> Any:
    name = getattr(layer_factory, "__name__", "the factory")
    arguments = arguments_of(layer_factory)
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p.name for p in arguments if p.default is p.empty and p.kind not in optional]
    if wanted := [argument for argument in needed if argument != "rng"]:
        raise TypeError(
            f"layer_laws: {name} needs {', '.join(wanted)}, expected a function of no arguments or "
            f"of rng alone that makes a layer, such as lambda: {name}(...)"
        )
    if "rng" in [p.name for p in arguments]:
        layer = layer_factory(rng=np.random.default_rng(seed))
    else:
        layer = layer_factory()
    if not is_layer(layer):
        raise TypeError(f"layer_laws: the factory made {layer!r}, expected forward and backward")
    return layer


def _evaluate(layer: Any) -> None:
    """Enter evaluation mode, if the layer has modes."""
    if callable(getattr(layer, "eval", None)):
        layer.eval()
    elif hasattr(layer, "training"):
        layer.training = False
