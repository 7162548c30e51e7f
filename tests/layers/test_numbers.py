"""The numbers that constructors take: NumPy's become Python's, and wrong ones are named."""

import numpy as np
import pytest

from chainrule.layers import (
    Affine,
    Concatenate,
    HuberLoss,
    LeakyReLU,
    MatMul,
    Repeat,
    Reshape,
    Slice,
    Sum,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("layer", [LeakyReLU(np.float64(0.1)), HuberLoss(np.float64(0.5))])
def test_a_numpy_number_does_not_turn_float32_into_float64(layer):
    x = RNG.normal(size=(4, 3)).astype(np.float32)
    y = layer.forward(x, x[::-1]) if isinstance(layer, HuberLoss) else layer.forward(x)
    dx = layer.backward(1.0 if isinstance(layer, HuberLoss) else y)
    assert dx.dtype == np.float32


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LeakyReLU("0.1"), TypeError, "LeakyReLU: slope is '0.1', expected a number"),
        (lambda: HuberLoss(None), TypeError, "HuberLoss: delta is None, expected a number"),
        (lambda: HuberLoss(0), ValueError, "HuberLoss: delta is 0, expected a positive number"),
        (lambda: Repeat(2.5), ValueError, "Repeat: n is 2.5, expected an integer of at least 1"),
        (lambda: Repeat(True), ValueError, "Repeat: n is True, expected an integer of at least 1"),
        (
            lambda: Affine.random(0, 5, RNG),
            ValueError,
            "Affine.random: inputs is 0, expected an integer of at least 1",
        ),
        (
            lambda: MatMul.random(3, 2.0, RNG),
            ValueError,
            "MatMul.random: outputs is 2.0, expected an integer of at least 1",
        ),
        (
            lambda: Sum(5).forward(np.ones((2, 3))),
            ValueError,
            "Sum(axis=5): x has shape (2, 3), expected one with axis 5",
        ),
        (lambda: Sum("a"), TypeError, "Sum: axis is 'a', expected an integer"),
        (lambda: Sum((0, 1.0)), TypeError, "Sum: axis is 1.0, expected an integer"),
        (lambda: Repeat(2, 1.5), TypeError, "Repeat: axis is 1.5, expected an integer"),
        (lambda: Concatenate("0"), TypeError, "Concatenate: axis is '0', expected an integer"),
        (
            lambda: Slice(True),
            TypeError,
            "Slice: a part of index is True, expected an integer, a slice or ...",
        ),
        (
            lambda: Sum((0, -2)).forward(np.ones((2, 3))),
            ValueError,
            "Sum(axis=(0, -2)): x has shape (2, 3), expected one with distinct axes (0, -2)",
        ),
        (
            lambda: Repeat(2, axis=-4).forward(np.ones((2, 3))),
            ValueError,
            "Repeat(2, axis=-4): x has shape (2, 3), expected one with a place for axis -4",
        ),
    ],
)
def test_a_wrong_number_is_named(make, error, message):
    with pytest.raises(error) as raised:
        make()
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("make", "pythons"),
    [
        (lambda: Reshape(np.prod((2, 3))), "Reshape(6)"),
        (lambda: Slice(np.argmax([0, 1])), "Slice([1])"),
        (lambda: Slice((..., np.array(1))), "Slice([..., 1])"),
        (lambda: Concatenate(np.int64(1)), "Concatenate(axis=1)"),
        (lambda: Repeat(np.int8(2), np.uint8(1)), "Repeat(2, axis=1)"),
        (lambda: Sum((np.int64(0), -1)), "Sum(axis=(0, -1))"),
    ],
)
def test_integers_of_numpy_are_integers(make, pythons):
    layer = make()
    assert repr(layer) == pythons
    layer.forward(np.ones((2, 2, 3)))
