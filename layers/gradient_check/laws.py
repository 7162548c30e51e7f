"""The laws of layers beyond right gradients: modes, dtypes, memory layouts, batches."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..base import Array
from ..nested import leaves, map_leaves
from .behaviour import as_floats, observe, require_same
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
    if evaluating is not None:
        with _law(layer, "in evaluation mode"):
            _check_evaluation(layer, evaluating, inputs, rng)
    if not all(isinstance(leaf, int | float) for _, leaf in leaves(inputs)):
        floats = any(is_float(np.asarray(leaf)) for _, leaf in leaves(inputs))
        hint = "" if floats else " (with integers NumPy makes float64; are floats meant?)"
        with _law(layer, "in float32" + hint):  # Python's numbers are all of float64
            observe(layer, inputs, rng, np.float32)
    for text, arrange in (
        ("with read-only arrays", _read_only),
        ("with arrays in Fortran's order", _in_fortrans_order),
        ("with arrays that have gaps in memory", _with_gaps),
    ):
        with _law(layer, text):
            _check_arrangement(layer, inputs, arrange)
    one = _batch_of_one(inputs) if batched else None
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


def _check_evaluation(
    layer: Any, evaluating: Any, inputs: tuple[Any, ...], rng: np.random.Generator
) -> None:
    name, values = title(layer), as_floats(inputs)
    again = FrozenCopy(evaluating)
    first, then = again.layer.forward(*values), again.layer.forward(*values)
    require_same(f"{name}: forward twice gives two answers", first, then)
    trained = FrozenCopy(layer).forward(*values)
    if any(
        np.shape(a) != np.shape(b) or np.any(np.asarray(a) != np.asarray(b))
        for (_, a), (_, b) in zip(leaves(first), leaves(trained), strict=True)
    ):
        compare(evaluating, inputs, rng)


def _check_arrangement(
    layer: Any, inputs: tuple[Any, ...], arrange: Callable[[Array], Array]
) -> None:
    """Compare with plain arrays; the same upstream gradient is drawn for both."""
    plain = observe(layer, inputs, np.random.default_rng(0))
    other = observe(layer, inputs, np.random.default_rng(0), arrange=arrange)
    require_same(f"{plain.title}: forward gives another answer", plain.out, other.out)
    for a, b in zip(plain.claims, other.claims, strict=True):
        require_same(f"{plain.title}: {a.name} is another", a.gradient, b.gradient)


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
    compare(layer, one, rng)
    used, new = FrozenCopy(layer), FrozenCopy(layer)
    used.forward(*as_floats(inputs))
    text = f"{title(layer)}: forward gives another answer after a larger batch"
    require_same(text, new.forward(*as_floats(one)), used.forward(*as_floats(one)))


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
    layer = copy.deepcopy(layer)
    if callable(getattr(layer, "eval", None)):
        layer.eval()
    elif hasattr(layer, "training"):
        layer.training = False
    else:
        return None
    return layer


def _batch_of_one(inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """Return the first row of all inputs that have as many as the first array, or None."""
    arrays = [leaf for _, leaf in leaves(as_floats(inputs)) if isinstance(leaf, np.ndarray)]
    if not arrays or arrays[0].ndim < 2:
        return None

    def first_row(leaf: Any) -> Any:
        is_batch = np.ndim(leaf) and len(leaf) == len(arrays[0])
        return leaf[:1] if is_batch else leaf

    return map_leaves(first_row, inputs)


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
