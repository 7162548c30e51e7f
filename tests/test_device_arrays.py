"""Every row of the table on arrays that are not NumPy's, as on a GPU: the same bits."""

import numpy as np
import pytest
import scipy.special
from conformance import TABLE, labels, make, shares, x
from device_array import DeviceArray, asarray, asnumpy

from chainrule.layers import (
    GELU,
    GRU,
    AddLayer,
    Affine,
    Attention,
    BinaryCrossEntropyLoss,
    CrossEntropyLoss,
    Embedding,
    GaussianKL,
    HuberLoss,
    Layer,
    MAELoss,
    MatMul,
    MSELoss,
    MulLayer,
    SumLoss,
)
from chainrule.layers.nested import leaves, map_leaves
from chainrule.layers.tree import walk

X = x(4, 3)
every_row = pytest.mark.parametrize(("factory", "inputs"), TABLE)


def to_device(value):
    return map_leaves(lambda leaf: asarray(leaf) if isinstance(leaf, np.ndarray) else leaf, value)


def is_exact(layer):
    """Whether the formula is the same: `device` has two for GELU, and two for Embedding's dW."""
    return not any(isinstance(part, GELU | Embedding) for _, part in walk(layer))


def assert_same(there, here, exact=True):
    for (place, mine), (_, theirs) in zip(leaves(here), leaves(there), strict=True):
        if mine is None:
            assert theirs is None
            continue
        assert isinstance(theirs, DeviceArray) == isinstance(mine, np.ndarray), place
        got = asnumpy(theirs)
        assert (got.dtype, got.shape) == (np.asarray(mine).dtype, np.shape(mine))
        np.testing.assert_allclose(got, mine, rtol=0 if exact else 1e-6, atol=0 if exact else 1e-6)


def ones_like(value, rng):
    if isinstance(value, tuple):
        return tuple(ones_like(part, rng) for part in value)
    if not isinstance(value, np.ndarray):
        return 1.5
    return rng.normal(size=value.shape).astype(value.dtype if value.dtype.kind == "f" else float)


@every_row
def test_forward_and_backward_give_the_bits_of_numpy(factory, inputs):
    here, there = make(factory), make(factory)
    Layer.map_arrays(there, asarray)
    exact = is_exact(here)
    out = here.forward(*inputs)
    assert_same(there.forward(*to_device(inputs)), out, exact)
    dout = ones_like(out, np.random.default_rng(3))
    dx, moved_dx = here.backward(dout), there.backward(to_device(dout))
    assert_same(moved_dx, dx, exact)
    for mine, theirs in zip(here.grads, there.grads, strict=True):
        assert_same(theirs, mine, exact)


WEIGHTED = [
    *((kind, x(4, 3), x(4, 3)[::-1]) for kind in (MSELoss, MAELoss, HuberLoss)),
    (CrossEntropyLoss, x(4, 3), labels(4)),
    (CrossEntropyLoss, x(4, 3), shares(4, 3)),
    (lambda: CrossEntropyLoss(ignore_index=1, class_weights=[1.0, 0.0, 2.5]), x(4, 3), labels(4)),
    (lambda: BinaryCrossEntropyLoss(positive_weight=3.0), x(4, 3), shares(4, 3)),
    (lambda: SumLoss(MSELoss(), CrossEntropyLoss()), (x(4, 3), x(4, 2)), (x(4, 3), labels(4) // 2)),
]


@pytest.mark.parametrize(("factory", "y", "t"), WEIGHTED)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_losses_with_weights(factory, y, t, dtype):
    y = map_leaves(lambda leaf: leaf.astype(dtype), y)
    weights, here, there = np.array([0.5, 2.0, 0.0, 1.0]), factory(), factory()
    value = here.forward(y, t, weights)
    assert there.forward(*to_device((y, t, weights))) == value
    assert (there.total, type(there.total)) == (here.total, float)
    assert_same(there.backward(1.5), here.backward(1.5))


@pytest.mark.parametrize(
    ("layer", "inputs", "kinds"),
    [
        (MulLayer(), (X, asarray(X)), "y is a device_array.DeviceArray, x a numpy.ndarray"),
        (AddLayer(), (asarray(X), X), "y is a numpy.ndarray, x a device_array.DeviceArray"),
        (MSELoss(), (asarray(X), X), "t is a numpy.ndarray, y a device_array.DeviceArray"),
        (CrossEntropyLoss(), (X, asarray(labels(4))), "t is a device_array.D.*, y a numpy.ndarray"),
        (GaussianKL(), (X, asarray(X)), "mean is a numpy.ndarray, log_var a device_array.DeviceA"),
        (Attention(), (asarray(X), X, X), "keys is a numpy.ndarray, queries a device_array.Device"),
        (MatMul(X.T), (asarray(X),), "x is a device_array.DeviceArray, W a numpy.ndarray"),
        (
            GRU.random(3, 2, np.random.default_rng(0)),
            (x(4, 2, 3), asarray(x(4, 2))),
            "h0 is a device_array.DeviceArray, x a numpy.ndarray",
        ),
    ],
)
def test_arrays_of_two_kinds_are_an_error_that_names_the_layer_and_both(layer, inputs, kinds):
    with pytest.raises(TypeError, match=rf"^{type(layer).__name__}\(.*\): {kinds}"):
        layer.forward(*inputs)


class Planted(Affine):
    """An Affine that converts."""

    def forward(self, x):
        return super().forward(np.asarray(x))


def test_a_planted_conversion_is_caught():
    rng = np.random.default_rng(0)
    with pytest.raises(TypeError, match="Implicit conversion to a NumPy array is not allowed"):
        test_forward_and_backward_give_the_bits_of_numpy(lambda: Planted.random(3, 2, rng), (X,))


@pytest.mark.parametrize(
    "misuse",
    [
        lambda a: a + np.ones(3),
        lambda a: np.ones(3) * a,
        lambda a: np.add(a, 1, out=np.ones(3)),
        lambda a: a + np.ones(()),
        lambda a: np.concatenate([a, np.ones(3)]),
        lambda a: a[np.array([0, 1])],
        lambda a: a.__setitem__(0, np.ones(())),
        lambda a: np.array(a),
        lambda a: np.ascontiguousarray(a),
        lambda a: np.subtract(a, 1, order="C"),
        lambda a: np.add.reduce(a),
        lambda a: np.add.at(a, [0], 1),
        lambda a: np.vecdot(a, a),
        lambda a: np.ones(3, like=a),
        lambda a: np.zeros_like(a, shape=()),
        lambda a: np.lib.stride_tricks.as_strided(a, (2, 2), (8, 8)),
        lambda a: np.linalg.norm(a),
        lambda a: scipy.special.expit(a),
        lambda a: asarray(np.array([None])),
        lambda a: range(a[0].astype(int)),
        lambda a: hash(a),
    ],
)
def test_the_stand_in_refuses_what_cupy_refuses(misuse):
    with pytest.raises(TypeError):
        misuse(asarray(np.arange(3.0)))


def test_the_stand_in_gives_arrays_where_numpy_gives_numbers():
    a = asarray(np.arange(6.0).reshape(2, 3))
    for number in (a.sum(), a[0, 1], np.vdot(a, a), a.max(), (a > 1).any()):
        assert isinstance(number, DeviceArray)
        assert number.shape == ()
    with np.errstate(all="raise"):
        assert np.isfinite(np.exp(a * 1000)).any()
