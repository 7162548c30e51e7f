"""Concatenate, Slice and Reverse: integers, gradients of integers, and what errors say."""

import numpy as np
import pytest

from chainrule.layers import Concatenate, Reverse, Slice

X = np.arange(12.0).reshape(2, 3, 2)


def test_concatenate_and_its_gradient():
    layer = Concatenate(axis=1)
    out = layer.forward(X, X[:, :1])
    assert out.shape == (2, 4, 2)
    dx, dy = layer.backward(out)
    np.testing.assert_array_equal(dx, X)
    np.testing.assert_array_equal(dy, X[:, :1])


def test_concatenate_of_one_gives_one_gradient():
    layer = Concatenate()
    np.testing.assert_array_equal(layer.backward(layer.forward(X)), X)


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (Concatenate(0), (np.arange(3), np.arange(2))),
        (Slice(np.s_[1:]), (np.arange(3),)),
        (Reverse(), (np.arange(6).reshape(2, 3),)),
    ],
)
def test_integers_stay_integers_and_have_no_gradient(layer, inputs):
    out = layer.forward(*inputs)
    assert out.dtype == inputs[0].dtype
    gradients = layer.backward(np.ones(out.shape))
    assert gradients == ((None, None) if len(inputs) > 1 else None)


def test_integers_beside_floats_become_floats():
    layer = Concatenate()
    out = layer.forward(np.ones((2, 1), np.float32), np.array([[1], [2]]))
    assert out.dtype == np.float32
    dx, dindex = layer.backward(out)
    np.testing.assert_array_equal(dx, np.ones((2, 1)))
    assert dindex is None


def test_shapes_that_cannot_be_joined():
    with pytest.raises(ValueError, match=r"Concatenate\(axis=-1\): the inputs have shapes \(2"):
        Concatenate().forward(X, X[:1])
    with pytest.raises(ValueError, match="the inputs have shapes none"):
        Concatenate().forward()
    with pytest.raises(ValueError, match=r"have shapes \(2, 3, 2\), expected"):
        Concatenate(axis=5).forward(X)


def test_slice_and_its_gradient():
    layer = Slice(np.s_[:, -1])
    np.testing.assert_array_equal(layer.forward(X), X[:, 2])
    dx = layer.backward(np.ones((2, 2)))
    assert dx.sum() == 4
    np.testing.assert_array_equal(dx[:, 2], np.ones((2, 2)))


def test_slice_errors():
    assert repr(Slice(np.s_[..., 1::2, -1])) == "Slice([..., 1::2, -1])"
    with pytest.raises(TypeError, match=r"Slice: a part of index is \[0, 1\], expected an"):
        Slice([0, 1])
    with pytest.raises(ValueError, match=r"Slice\(\[:, 3\]\): x has shape \(2, 3, 2\): index 3 is"):
        Slice(np.s_[:, 3]).forward(X)


def test_reverse():
    np.testing.assert_array_equal(Reverse().forward(X), X[:, ::-1])
    with pytest.raises(ValueError, match=r"Reverse\(\): x has shape \(3,\), expected \(N, T"):
        Reverse().forward(np.ones(3))
