"""Attention: masks, weights, and what errors say."""

import re

import numpy as np
import pytest

from chainrule.layers import Attention, SelfAttention

RNG = np.random.default_rng(0)


def test_equal_scores_give_the_mean_of_the_values():
    attention = Attention()
    y = attention.forward(np.zeros((1, 2, 3)), RNG.normal(size=(1, 4, 3)), np.eye(4)[np.newaxis])
    np.testing.assert_allclose(y, np.full((1, 2, 4), 0.25))
    np.testing.assert_allclose(attention.weights, np.full((1, 2, 4), 0.25))


def test_a_slow_obvious_attention():
    q, k, v = (RNG.normal(size=(2, 3, n, d)) for n, d in ((4, 5), (6, 5), (6, 2)))
    y = Attention().forward(q, k, v)
    for n in range(2):
        for head in range(3):
            for t in range(4):
                scores = [np.exp(q[n, head, t] @ k[n, head, s] / np.sqrt(5)) for s in range(6)]
                mean = sum(w * v[n, head, s] for s, w in enumerate(scores)) / sum(scores)
                np.testing.assert_allclose(y[n, head, t], mean)


def test_heads_attend_apart():
    layer = SelfAttention.random(4, 2, np.random.default_rng(0), dtype=np.float64)
    x = RNG.normal(size=(3, 5, 4))
    layer.forward(x)
    assert layer.weights.shape == (3, 2, 5, 5)
    q, k, _ = np.split(x @ layer.W + layer.b, 3, axis=-1)
    second = Attention()
    second.forward(q[..., 2:], k[..., 2:], x)
    np.testing.assert_allclose(layer.weights[:, 1], second.weights)


def test_causal_weights_are_zero_above_the_diagonal():
    layer = SelfAttention.random(4, 2, RNG, causal=True)
    layer.forward(RNG.normal(size=(3, 5, 4)))
    assert not np.triu(layer.weights, 1).any()
    np.testing.assert_allclose(layer.weights.sum(axis=-1), 1, rtol=1e-6)


def test_what_a_hidden_key_holds_does_not_matter():
    q, k, v = RNG.normal(size=(3, 2, 4, 3))
    seen = np.array([True, True, True, False])
    y = Attention().forward(q, k, v, seen)
    k[:, -1] = np.nan
    np.testing.assert_array_equal(Attention().forward(q, k, v, seen), y)


def test_a_query_that_sees_nothing_is_zero():
    attention = Attention()
    mask = np.array([[True, False], [False, False]])
    y = attention.forward(np.ones((1, 2, 3)), np.ones((1, 2, 3)), np.ones((1, 2, 4)), mask)
    np.testing.assert_array_equal(attention.weights, [[[1, 0], [0, 0]]])
    np.testing.assert_array_equal(y[0, 1], np.zeros(4))
    dq, dk, dv, dmask = attention.backward(np.ones_like(y))
    assert dmask is None
    assert np.isfinite(np.concatenate([dq, dk], axis=None)).all()
    np.testing.assert_array_equal(dv, [[[1] * 4, [0] * 4]])


def test_padding_changes_nothing_before_it():
    layer = SelfAttention.random(4, 2, RNG, dtype=np.float64)
    x = RNG.normal(size=(2, 5, 4))
    valid = np.arange(5) < np.array([[3], [3]])
    np.testing.assert_allclose(layer.forward(x, valid)[:, :3], layer.forward(x[:, :3]))


def test_large_scores_do_not_overflow():
    x = 1e4 * RNG.normal(size=(1, 3, 4)).astype(np.float32)
    assert np.isfinite(Attention().forward(x, x, x)).all()


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        ([(3,), (4, 3), (4, 2)], "queries has shape (3,), expected (..., T, d)"),
        ([(2, 5, 3), (2, 4, 2), (2, 4, 2)], "keys has shape (2, 4, 2), expected (2, S, 3)"),
        ([(2, 5, 3), (1, 4, 3), (1, 4, 2)], "keys has shape (1, 4, 3), expected (2, S, 3)"),
        ([(2, 5, 3), (3,), (4, 2)], "keys has shape (3,), expected (2, S, 3)"),
        ([(2, 5, 3), (2, 4, 3), (2, 5, 2)], "values has shape (2, 5, 2), expected (2, 4, dv)"),
    ],
)
def test_inputs_that_do_not_fit(shapes, says):
    with pytest.raises(ValueError, match=re.escape(f"Attention(): {says}")):
        Attention().forward(*(np.ones(shape) for shape in shapes))


def test_masks_that_do_not_fit():
    x = np.ones((2, 3, 4))
    with pytest.raises(TypeError, match=r"mask is of dtype float64, expected bool"):
        Attention().forward(x, x, x, np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"mask has shape \(2, 3\), expected one that broadcasts"):
        Attention().forward(x, x, x, np.ones((2, 3), bool))
    layer = SelfAttention.random(4, 2, RNG)
    with pytest.raises(TypeError, match=r"valid is of dtype int64, expected bool"):
        layer.forward(x, np.ones((2, 3), int))
    with pytest.raises(ValueError, match=r"valid has shape \(3,\), expected \(2, 3\)"):
        layer.forward(x, np.ones(3, bool))


@pytest.mark.parametrize(
    ("shapes", "heads", "says"),
    [
        ([(4, 4), (12,), (4, 4), (4,)], 2, "W has shape (4, 4), expected (D, 3D)"),
        ([(4, 12), (4,), (4, 4), (4,)], 2, "b has shape (4,), expected (12,)"),
        ([(4, 12), (12,), (4, 2), (4,)], 2, "Wo has shape (4, 2), expected (4, 4)"),
        ([(4, 12), (12,), (4, 4), (2,)], 2, "bo has shape (2,), expected (4,)"),
        ([(4, 12), (12,), (4, 4), (4,)], 3, "heads is 3, expected a divisor of the size 4"),
        ([(4, 12), (12,), (4, 4), (4,)], 0, "heads is 0, expected an integer of at least 1"),
    ],
)
def test_weights_that_do_not_fit(shapes, heads, says):
    with pytest.raises(ValueError, match=re.escape(f"SelfAttention: {says}")):
        SelfAttention(*(np.ones(shape) for shape in shapes), heads)


def test_a_mask_that_does_not_fit_leaves_what_backward_needs():
    rng = np.random.default_rng(0)
    layer, (q, k, v, dout) = Attention(), rng.normal(size=(4, 2, 3, 5))
    layer.forward(q, k, v)
    expected = layer.backward(dout)
    with pytest.raises(ValueError, match="mask has shape"):
        layer.forward(k, v, q, np.ones((4, 4), bool))
    np.testing.assert_array_equal(layer.backward(dout), expected)
