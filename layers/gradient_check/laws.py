"""The laws of layers beyond right gradients: modes, dtypes, memory layouts, batches."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..base import Array
from ..nested import leaves, map_leaves
from ..tree import params_and_grads, state
from .behaviour import (
    Observation,
    another,
    as_floats,
    check_backward_params,
    observe,
    random_like,
    require_same,
    rounding_of,
)
from .claims import arguments_of, is_float, title
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
    compare(layer, inputs, rng)
    evaluating = _in_eval_mode(layer)
    _check_makes_equal_layers(layer_factory, seed, inputs)
    _check_interleaved(_make(layer_factory, seed), _make(layer_factory, seed), inputs)
    with _law(layer, "after its parameters changed in place"):
        _check_changed_parameters(layer, inputs, rng)
    if evaluating is not None:
        with _law(layer, "in evaluation mode"):
            _check_evaluation(layer, evaluating, inputs, rng)
        _check_state(layer, _make(layer_factory, seed + 1), inputs)
    if "weights" in [p.name for p in arguments_of(layer.forward)[2:]] and len(inputs) == 2:
        with _law(layer, "with weights"):
            _check_weights(layer, inputs, rng)
    if not all(isinstance(leaf, int | float) for _, leaf in leaves(inputs)):
        floats = any(is_float(np.asarray(leaf)) for _, leaf in leaves(inputs))
        hint = "" if floats else " (with integers NumPy makes float64; are floats meant?)"
        with _law(layer, "in float32" + hint):  # Python's numbers are all of float64
            check_backward_params(observe(layer, inputs, rng, np.float32))
    plain = observe(layer, inputs, np.random.default_rng(0))
    for text, arrange in (
        ("with read-only arrays", _read_only),
        ("with arrays in Fortran's order", _in_fortrans_order),
        ("with arrays that have gaps in memory", _with_gaps),
    ):
        with _law(layer, text):
            _check_arrangement(layer, inputs, arrange, plain)
    one = _rows(inputs) if batched else None
    if one is not None:
        with _law(layer, "with a batch of one"):
            _check_batch_of_one(layer, evaluating, inputs, one, rng)


def _check_makes_equal_layers(
    layer_factory: Callable[..., Any], seed: int, inputs: tuple[Any, ...]
) -> None:
    """Two layers made and run with equal Generators: not frozen, as users have them."""
    if "rng" not in [p.name for p in arguments_of(layer_factory)]:
        return
    outs = []
    for _ in range(2):
        layer = _make(layer_factory, seed)
        outs.append(layer.forward(*as_floats(inputs, np.float64)))
    require_same(f"{title(layer)}: two layers made with equal Generators disagree", *outs)


def _check_interleaved(layer: Any, other: Any, inputs: tuple[Any, ...]) -> None:
    """Two instances, one run between the other's forward and backward: not copies, as users run."""
    values, others = as_floats(inputs), map_leaves(another, as_floats(inputs))
    out, rng = layer.forward(*values), np.random.default_rng(0)
    dout = random_like(out, rng)
    before = layer.backward(dout), *(np.copy(g) for g in params_and_grads(layer)[1])
    try:
        other.backward(random_like(other.forward(*others), rng))
    except ValueError:
        return  # not what this layer takes
    after = layer.backward(dout), *params_and_grads(layer)[1]
    text = f"{title(layer)}: another instance of the class disturbs it; is a value kept in the "
    require_same(f"{text}class or module?", before, after, None, rounding_of(dout))


def _check_changed_parameters(
    layer: Any, inputs: tuple[Any, ...], rng: np.random.Generator
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
    layer: Any, evaluating: Any, inputs: tuple[Any, ...], rng: np.random.Generator
) -> None:
    """Evaluate after a training forward on other data, of which only buffers may be left."""
    name, values = title(layer), as_floats(inputs)
    used, new = FrozenCopy(layer), FrozenCopy(evaluating)
    used.forward(*map_leaves(another, values))
    used.layer = _in_eval_mode(used.layer)
    for array, value in zip(state(new.layer).values(), state(used.layer).values(), strict=True):
        array[...] = value
    text = f"{name}: evaluation uses what a training forward left and no buffer_names declares"
    again = FrozenCopy(used.layer)
    first, then = again.layer.forward(*values), again.layer.forward(*values)
    require_same(f"{name}: forward twice gives two answers", first, then)
    require_same(text, new.layer.forward(*values), first)
    compare(used.layer, inputs, rng, again=True)


def _check_state(layer: Any, other: Any, inputs: tuple[Any, ...]) -> None:
    """Load the state of a used layer into another that the factory made of another seed."""
    used, new, values = FrozenCopy(layer), FrozenCopy(other), as_floats(inputs)
    used.forward(*values)
    for array, value in zip(state(new.layer).values(), state(used.layer).values(), strict=True):
        array[...] = value
    outs = [_in_eval_mode(copy.layer).forward(*values) for copy in (used, new)]
    text = "a new layer with the same state_dict evaluates to another answer; declare what differs"
    require_same(f"{title(layer)}: {text} in param_names or buffer_names", *outs)


def _check_weights(layer: Any, inputs: tuple[Any, ...], rng: np.random.Generator) -> None:
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


def _check_arrangement(
    layer: Any, inputs: tuple[Any, ...], arrange: Callable[[Array], Array], plain: Observation
) -> None:
    """Compare with plain arrays; the same upstream gradient is drawn for both."""
    other = observe(layer, inputs, np.random.default_rng(0), arrange=arrange)
    require_same(f"{plain.title}: forward gives another answer", plain.out, other.out)
    for a, b in zip(plain.claims, other.claims, strict=True):
        floor = rounding_of(plain.dout)
        require_same(f"{plain.title}: {a.name} is another", a.gradient, b.gradient, None, floor)


def _check_batch_of_one(
    layer: Any,
    evaluating: Any,
    inputs: tuple[Any, ...],
    one: tuple[Any, ...],
    rng: np.random.Generator,
) -> None:
    try:
        FrozenCopy(layer).forward(*as_floats(one))
    except ValueError:
        if evaluating is None:
            raise
        layer = evaluating
    compare(layer, one, rng, again=True)
    used, new = FrozenCopy(layer), FrozenCopy(layer)
    batch = used.forward(*as_floats(inputs))
    text = f"{title(layer)}: forward gives another answer after a larger batch"
    out = new.forward(*as_floats(one))
    require_same(text, out, used.forward(*as_floats(one)))
    rows = len(next(leaf for _, leaf in leaves(as_floats(inputs)) if np.ndim(leaf)))
    if rows < 3:
        return
    # An axis that shrinks with the batch has its share of one row left; the others stay.
    fewer = FrozenCopy(layer).forward(*_rows(inputs, rows - 1))
    shapes = [[np.shape(leaf) for _, leaf in leaves(value)] for value in (batch, fewer, out)]
    for many, less, came in zip(*shapes, strict=True):
        if len(many) == len(less):
            expected = tuple(n - (rows - 1) * (n - m) for n, m in zip(many, less, strict=True))
            if came != expected:
                raise GradientError(
                    f"{title(layer)}: the output has shape {came}, expected {expected}, as "
                    f"{rows} rows give {many}"
                )


def _make(layer_factory: Callable[..., Any], seed: int) -> Any:
    name = getattr(layer_factory, "__name__", "the factory")
    arguments = arguments_of(layer_factory)
    unnamed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    wanted = [p.name for p in arguments if p.default is p.empty and p.kind not in unnamed]
    if wanted := [argument for argument in wanted if argument != "rng"]:
        raise TypeError(
            f"layer_laws: {name} wants {', '.join(wanted)}, expected what makes a new layer of an "
            f"rng alone or of nothing, such as lambda: {name}(...)"
        )
    if "rng" in [p.name for p in arguments]:
        layer = layer_factory(rng=np.random.default_rng(seed))
    else:
        layer = layer_factory()
    if not (hasattr(layer, "forward") and hasattr(layer, "backward")):
        raise TypeError(f"layer_laws: the factory made {layer!r}, expected forward and backward")
    return layer


def _in_eval_mode(layer: Any) -> Any:
    """Return a copy of the layer in evaluation mode, or None if it knows no modes."""
    layer = FrozenCopy(layer).layer
    if callable(getattr(layer, "eval", None)):
        layer.eval()
    elif hasattr(layer, "training"):
        layer.training = False
    else:
        return None
    return layer


def _rows(inputs: tuple[Any, ...], n: int = 1) -> Any:
    """Return the first n rows of all inputs that have as many as the first array, or None."""
    values = as_floats(inputs)
    arrays = [leaf for _, leaf in leaves(values) if isinstance(leaf, np.ndarray)]
    if not arrays or arrays[0].ndim < 2:
        return None

    def rows(leaf: Any) -> Any:
        is_batch = np.ndim(leaf) and len(leaf) == len(arrays[0])
        return leaf[:n] if is_batch else leaf

    return map_leaves(rows, values)


def _read_only(array: Array) -> Array:
    array = array.copy()
    array.flags.writeable = False
    return array


def _in_fortrans_order(array: Array) -> Array:
    return np.array(array, order="F")


def _with_gaps(array: Array) -> Array:
    """Return the array as every second element, backwards, of a larger one."""
    if not array.ndim:
        return array.copy()
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::-2] = array
    return wide[..., ::-2]


@contextmanager
def _law(layer: Any, circumstances: str) -> Iterator[None]:
    """Say under which law it happened."""
    try:
        yield
    except GradientError as error:
        raise GradientError(f"{error}, {circumstances}") from error
    except Exception as error:
        came = f"raises {type(error).__name__}: {error}"
        raise GradientError(f"{title(layer)}: {came}, {circumstances}") from error
