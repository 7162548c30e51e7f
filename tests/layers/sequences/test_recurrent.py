"""Recurrent layers: worked numbers, states across calls, memory, and what errors say."""

import re

import numpy as np
import pytest

from chainrule.layers import GRU, LSTM, RNN

CELLS = [RNN, LSTM, GRU]
RNG = np.random.default_rng(0)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def states_of(cell):
    return 2 if cell is LSTM else 1


def test_rnn_by_hand():
    rnn = RNN([[1.0]], [[0.5]], [0.1])
    h1 = np.tanh(2 + 0.1)
    h2 = np.tanh(-1 + 0.5 * h1 + 0.1)
    hs = rnn.forward([[[2.0], [-1.0]]])
    np.testing.assert_allclose(hs, [[[h1], [h2]]])
    da2 = 1 - h2**2
    da1 = (1 + 0.5 * da2) * (1 - h1**2)
    np.testing.assert_allclose(rnn.backward(np.ones((1, 2, 1))), [[[da1], [da2]]])
    np.testing.assert_allclose(rnn.dWx, [[2 * da1 - da2]])
    np.testing.assert_allclose(rnn.dWh, [[h1 * da2]])
    np.testing.assert_allclose(rnn.db, [da1 + da2])


def test_lstm_step_by_step():
    lstm = LSTM.random(2, 3, np.random.default_rng(1), dtype=np.float64)
    x = RNG.normal(size=(4, 5, 2))
    h, c = np.zeros((4, 3)), np.zeros((4, 3))
    expected = []
    for t in range(5):
        i, f, g, o = np.split(x[:, t] @ lstm.Wx + h @ lstm.Wh + lstm.b, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        expected.append(h)
    np.testing.assert_allclose(lstm.forward(x), np.stack(expected, axis=1), atol=1e-14)


def test_gru_step_by_step():
    gru = GRU.random(2, 3, np.random.default_rng(1), dtype=np.float64)
    gru.bx[...], gru.bh[...] = RNG.normal(size=(2, 9))
    x, h, expected = RNG.normal(size=(4, 5, 2)), np.zeros((4, 3)), []
    for t in range(5):
        a, u = x[:, t] @ gru.Wx + gru.bx, h @ gru.Wh + gru.bh
        r, z = np.split(sigmoid(a[:, :6] + u[:, :6]), 2, axis=1)
        n = np.tanh(a[:, 6:] + r * u[:, 6:])
        h = (1 - z) * n + z * h
        expected.append(h)
    np.testing.assert_allclose(gru.forward(x), np.stack(expected, axis=1), atol=1e-14)


@pytest.mark.parametrize("cell", CELLS)
def test_a_sequence_in_two_parts(cell):
    """The last states of the first part start the second."""
    layer = cell.random(2, 3, np.random.default_rng(1), dtype=np.float64, return_state=True)
    x = RNG.normal(size=(4, 6, 2))
    whole = layer.forward(x)
    first, *states = layer.forward(x[:, :2])
    second, *last = layer.forward(x[:, 2:], *states)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole[0], atol=1e-14)
    for a, b in zip(last, whole[1:], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-14)


@pytest.mark.parametrize("cell", CELLS)
def test_the_last_state_is_the_last_step(cell):
    layer = cell.random(2, 3, np.random.default_rng(1), return_state=True)
    hs, h, *_ = layer.forward(RNG.normal(size=(4, 6, 2)))
    np.testing.assert_array_equal(hs[:, -1], h)


@pytest.mark.parametrize("cell", [RNN, GRU])
def test_a_second_layer_takes_the_first_ones_memory_as_it_lies(cell):
    first = cell.random(2, 3, np.random.default_rng(1))
    second = cell.random(3, 4, np.random.default_rng(2))
    hs = first.forward(RNG.normal(size=(4, 6, 2)).astype(np.float32))
    second.forward(hs)
    assert np.shares_memory(second.x, hs)


@pytest.mark.parametrize("cell", CELLS)
def test_backward_params_alone(cell):
    layer = cell.random(2, 3, np.random.default_rng(1))
    dout = np.ones_like(layer.forward(RNG.normal(size=(4, 6, 2)).astype(np.float32)))
    layer.backward(dout)
    both = layer.grads
    assert layer.backward_params(dout) is None
    for a, b in zip(both, layer.grads, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("scale", [1e3, 1e30])
def test_saturated_gates_do_not_overflow(cell, scale):
    layer = cell.random(2, 3, np.random.default_rng(1))
    hs = layer.forward((scale * RNG.normal(size=(4, 3, 2))).astype(np.float32))
    assert np.isfinite(hs).all()
    assert np.isfinite(layer.backward(np.ones_like(hs))).all()


def test_the_forget_gate_starts_open():
    np.testing.assert_array_equal(LSTM.random(2, 3, RNG).b, [0] * 3 + [1] * 3 + [0] * 6)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("shape", [(4, 2), (4, 6, 3), (4, 0, 2)])
def test_x_of_the_wrong_shape(cell, shape):
    layer = cell.random(2, 3, RNG)
    says = rf"{cell.__name__}(2 -> 3): x has shape {shape}, expected (N, T, 2)"
    with pytest.raises(ValueError, match=re.escape(says)):
        layer.forward(np.zeros(shape))


@pytest.mark.parametrize("cell", CELLS)
def test_states_of_the_wrong_shape_or_kind(cell):
    layer, x = cell.random(2, 3, RNG), np.zeros((4, 6, 2))
    rest = [np.zeros((4, 3))] * (states_of(cell) - 1)
    with pytest.raises(ValueError, match=r"h0 has shape \(1, 4, 3\), expected \(4, 3\)"):
        layer.forward(x, np.zeros((1, 4, 3)), *rest)
    with pytest.raises(TypeError, match=r"h0 is of dtype <U1, expected real numbers"):
        layer.forward(x, np.full((4, 3), "a"), *rest)


def test_one_state_of_two():
    with pytest.raises(ValueError, match=r"got c0 alone, expected none or all of \['h0', 'c0'\]"):
        LSTM.random(2, 3, RNG).forward(np.zeros((4, 6, 2)), c0=np.zeros((4, 3)))


def test_dout_without_those_of_the_states():
    layer = LSTM.random(2, 3, RNG, return_state=True)
    hs, _, _ = layer.forward(np.zeros((4, 6, 2)))
    with pytest.raises(ValueError, match="dout is ndarray, expected a tuple of 3 gradients"):
        layer.backward(hs)
    with pytest.raises(ValueError, match="dout is a tuple of 1, expected a tuple of 3 gradients"):
        layer.backward((hs,))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: RNN(np.ones((2, 3)), np.ones((3, 4)), np.ones(4)), "RNN: Wh has shape (3, 4)"),
        (lambda: LSTM(np.ones((2, 8)), np.ones((2, 4)), np.ones(8)), "LSTM: Wh has shape (2, 4)"),
        (lambda: LSTM(np.ones((2, 4)), np.ones((2, 8)), np.ones(8)), "expected (D, 8)"),
        (lambda: LSTM(np.ones((2, 8)), np.ones((2, 8)), np.ones(2)), "LSTM: b has shape (2,)"),
        (
            lambda: GRU(np.ones((2, 6)), np.ones((2, 6)), np.ones(6), np.ones(2)),
            "GRU: bh has shape (2,), expected (6,)",
        ),
        (lambda: GRU.random(0, 3, RNG), "GRU.random: inputs is 0"),
    ],
)
def test_weights_that_do_not_fit(make, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        make()


@pytest.mark.parametrize("kind", [RNN, LSTM, GRU])
def test_a_forward_that_fails_leaves_what_backward_needs(kind):
    rng = np.random.default_rng(0)
    layer, x, dout = kind.random(2, 3, rng), rng.normal(size=(4, 5, 2)), rng.normal(size=(4, 5, 3))
    layer.forward(x)
    dx = layer.backward(dout)
    wrong = [np.zeros((4, 2))] * (2 if kind is LSTM else 1)
    with pytest.raises(ValueError, match=r"h0 has shape \(4, 2\), expected \(4, 3\)"):
        layer.forward(rng.normal(size=x.shape), *wrong)
    np.testing.assert_array_equal(layer.backward(dout), dx)
