"""Embedding and PositionalEmbedding: words, places, and what errors say."""

import numpy as np
import pytest

from chainrule.layers import Embedding, PositionalEmbedding

RNG = np.random.default_rng(0)


def test_rows_are_looked_up_and_their_gradients_summed():
    layer = Embedding([[1.0, 2], [3, 4], [5, 6]])
    np.testing.assert_array_equal(layer.forward([[2, 0, 2]]), [[[5, 6], [1, 2], [5, 6]]])
    assert layer.backward([[[1.0, 10], [2, 20], [3, 30]]]) is None
    np.testing.assert_array_equal(layer.dW, [[2, 20], [0, 0], [4, 40]])


def test_the_gradient_by_a_slow_obvious_loop():
    layer, x = Embedding(RNG.normal(size=(6, 3))), RNG.integers(6, size=(4, 5))
    dout = RNG.normal(size=layer.forward(x).shape)
    layer.backward(dout)
    expected = np.zeros((6, 3))
    for place in np.ndindex(x.shape):
        expected[x[place]] += dout[place]
    np.testing.assert_allclose(layer.dW, expected)


def test_an_empty_batch():
    layer = Embedding.random(3, 2, RNG)
    out = layer.forward(np.zeros((0, 4), int))
    layer.backward(out)
    assert out.shape == (0, 4, 2)
    assert not layer.dW.any()


@pytest.mark.parametrize(
    ("x", "says"),
    [
        ([[0, 3]], r"Embedding\(3 -> 2\): x\[0, 1\] is 3, expected 0 to 2"),
        ([-1], r"x\[0\] is -1, expected 0 to 2"),
        (7, r"x is 7, expected 0 to 2"),
    ],
)
def test_words_beyond_the_vocabulary(x, says):
    with pytest.raises(ValueError, match=says):
        Embedding.random(3, 2, RNG).forward(x)


@pytest.mark.parametrize("x", [[0.0, 1.0], [True]])
def test_words_that_are_no_integers(x):
    with pytest.raises(TypeError, match=r"x is of dtype \w+, expected integers"):
        Embedding.random(3, 2, RNG).forward(x)


def test_places():
    layer = PositionalEmbedding([[1.0], [2], [3]])
    np.testing.assert_array_equal(layer.forward(np.zeros((2, 2, 1))), [[[1], [2]], [[1], [2]]])
    layer.backward(np.ones((2, 2, 1)))
    np.testing.assert_array_equal(layer.dW, [[2], [2], [0]])
    with pytest.raises(ValueError, match=r"x has shape \(2, 4, 1\), .* with T of at most 3"):
        layer.forward(np.zeros((2, 4, 1)))


def test_weights_that_do_not_fit():
    with pytest.raises(ValueError, match=r"Embedding: W has shape \(3,\), expected \(vocab, size"):
        Embedding(np.ones(3))
    with pytest.raises(ValueError, match=r"Embedding: W has shape \(3,\), expected \(length, size"):
        PositionalEmbedding(np.ones(3))
