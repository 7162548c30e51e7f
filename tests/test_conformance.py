"""Every law of layers, over every row of the table."""

import copy
import inspect
import pickle
import re

import numpy as np
import pytest
from conformance import TABLE, Plain, make

import chainrule.layers
import chainrule.networks
from chainrule.layers import Identity, Layer, layer_laws
from chainrule.layers.nested import map_leaves
from chainrule.networks import Branch, Graph, Network


def below(layer):
    """Yield the layer and all inside it."""
    yield layer
    for part in getattr(layer, "layers", ()):
        yield from below(part)


def arrays(value):
    """List the arrays and numbers in a nested tuple."""
    return [a for part in value for a in arrays(part)] if isinstance(value, tuple) else [value]


def passes_anything(layer):
    """Whether there is a way through the net on which nothing looks at the values."""
    return any(isinstance(part, Identity | Branch | Plain) for part in below(layer)) or not len(
        getattr(layer, "layers", [layer])
    )


LOOKING = [row for row in TABLE if not passes_anything(make(row.values[0]))]
LAYERS = [row for row in TABLE if isinstance(make(row.values[0]), Layer)]

every_row = pytest.mark.parametrize(("factory", "inputs"), TABLE)
every_row_that_looks = pytest.mark.parametrize(("factory", "inputs"), LOOKING)


def one_row_of_each_class(rows):
    """Parametrize with the first row of each class."""
    found = {}
    for row in rows:
        found.setdefault(type(make(row.values[0])), row)
    return pytest.mark.parametrize(("factory", "inputs"), found.values())


def test_every_public_class_has_a_row():
    made = {type(part) for row in TABLE for part in below(make(row.values[0]))}
    missing = [
        f"{module.__name__}.{name}"
        for module in (chainrule.layers, chainrule.networks)
        for name in module.__all__
        if inspect.isclass(thing := getattr(module, name))
        and hasattr(thing, "forward")
        and thing not in made | {Layer, Network, Graph}
    ]
    assert not missing, f"{missing}: add a row to tests/conformance.py"


@every_row
def test_gradients_and_laws(factory, inputs):
    layer_laws(factory, *inputs)


@every_row
def test_a_gradient_of_integers_counts_as_one_of_floats(factory, inputs):
    layer = make(factory)
    ones = map_leaves(lambda leaf: 3 * np.ones(np.shape(leaf), int), layer.forward(*inputs))
    found = arrays((layer.backward(ones),))
    expected = arrays((layer.backward(map_leaves(np.float64, ones)),))
    for mine, right in zip(found, expected, strict=True):
        assert (mine is None) == (right is None)
        if right is not None:
            np.testing.assert_allclose(mine, right, rtol=1e-5, atol=1e-6)


@every_row
def test_an_empty_batch_passes_or_is_refused_by_name(factory, inputs):
    def empty(value):
        return map_leaves(lambda leaf: leaf[:0] if np.ndim(leaf) > 1 else leaf, value)

    layer, said = make(factory), ""
    try:
        layer.backward(layer.forward(*empty(inputs)))
    except ValueError as error:
        said = str(error)
    assert not said or re.match(rf"{type(layer).__name__}|\w+\(.*\): ", said), said


@one_row_of_each_class(LOOKING)
def test_backward_first_says_to_call_forward(factory, inputs):
    layer = make(factory)
    out = make(factory).forward(*inputs)
    with pytest.raises(AttributeError, match=r"^\w+ has no '\w+'; .*call forward\(\) first"):
        layer.backward(out)


@every_row_that_looks
def test_dout_of_the_wrong_shape(factory, inputs):
    layer = make(factory)
    out = layer.forward(*inputs)
    wrong = tuple(np.ones(7) for _ in out) if isinstance(out, tuple) else np.ones(7)
    with pytest.raises(ValueError, match=r"^\w+\(.*: dout has shape \(7,\), expected"):
        layer.backward(wrong)


@one_row_of_each_class(LOOKING)
@pytest.mark.parametrize("wrong", [np.array([["a", "b"]]), np.array([[None, 1]]), np.array([[1j]])])
def test_arrays_that_hold_no_real_numbers(factory, inputs, wrong):
    layer = make(factory)

    def spoilt(value):
        return tuple(map(spoilt, value)) if isinstance(value, tuple) else wrong

    expected = r"^\w+\(.*: \w+ is of dtype \S+, expected (real numbers|integers)"
    with pytest.raises(TypeError, match=expected):
        layer.forward(*spoilt(inputs))


@every_row
def test_float32_is_as_exact_as_it_can_be(factory, inputs):
    def in_dtype(value, dtype):
        if isinstance(value, tuple):
            return tuple(in_dtype(part, dtype) for part in value)
        is_float = isinstance(value, np.ndarray) and value.dtype.kind == "f"
        return value.astype(np.float32).astype(dtype) if is_float else value

    layer, single = make(factory), make(factory)
    for wide, narrow in zip(*(getattr(m, "params", []) for m in (layer, single)), strict=True):
        wide[...] = wide.astype(np.float32)
        narrow[...] = wide
    exact = arrays(layer.forward(*in_dtype(inputs, np.float64)))
    coarse = arrays(single.forward(*in_dtype(inputs, np.float32)))
    for a, b in zip(exact, coarse, strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-5, atol=2e-5 * np.abs(a).max())


@every_row
def test_repr(factory, inputs):
    layer = make(factory)
    assert re.fullmatch(rf"{type(layer).__name__}\(.*\)", repr(layer), re.DOTALL)
    assert " at 0x" not in repr(layer)


@one_row_of_each_class(LAYERS)
def test_the_docstring_is_the_equation(factory, inputs):
    assert "``" in inspect.getdoc(type(make(factory))).split("\n\n")[0]


@one_row_of_each_class(LAYERS)
def test_a_state_makes_an_equal_layer(factory, inputs):
    layer = make(factory, seed=1)
    layer.forward(*inputs)  # buffers move
    other = make(factory, seed=2)
    other.load_state_dict(layer.state_dict())
    for a, b in zip(arrays(layer.predict(*inputs)), arrays(other.predict(*inputs)), strict=True):
        np.testing.assert_array_equal(a, b)


@one_row_of_each_class(TABLE)
def test_a_copy_is_independent(factory, inputs):
    layer = make(factory)
    before = [np.copy(param) for param in getattr(layer, "params", [])]
    twin = copy.deepcopy(layer)
    for param in getattr(twin, "params", []):
        param += 1
    for param, old in zip(getattr(layer, "params", []), before, strict=True):
        np.testing.assert_array_equal(param, old)


@pytest.mark.parametrize(
    ("factory", "inputs"), [row for row in TABLE if isinstance(make(row.values[0]), Layer)]
)
def test_forget_drops_what_was_saved_and_nothing_else(factory, inputs):
    """A used layer has the attributes of a new one, pickles as small, and runs as before."""

    def step(layer):
        out = layer.forward(*inputs)
        layer.backward(
            map_leaves(lambda y: 0.5 * y if np.result_type(y).kind == "f" else None, out)
        )
        return [*arrays(out), *layer.grads]

    new, layer, other = make(factory), make(factory), make(factory)
    step(layer)
    step(other)
    layer.forget()
    for (_, used), (_, unused) in zip(layer.walk(), new.walk(), strict=True):
        assert vars(used).keys() == vars(unused).keys() or not isinstance(used, Layer)
    if all(isinstance(part, Layer) for _, part in layer.walk()):
        # A Generator's state is not always written in as many bytes.
        assert len(pickle.dumps(layer)) < len(pickle.dumps(new)) + 64
    for a, b in zip(step(layer), step(other), strict=True):
        np.testing.assert_array_equal(a, b)
