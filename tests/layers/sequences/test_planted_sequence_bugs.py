"""The checker is tested to fail on the mistakes that sequences invite."""

import numpy as np
import pytest

from chainrule.layers import (
    GRU,
    LSTM,
    RNN,
    Attention,
    Embedding,
    GradientError,
    PositionalEmbedding,
    Reverse,
    SelfAttention,
    check_gradients,
    layer_laws,
)

X, H0, C0 = (
    np.random.default_rng(k).normal(size=s) for k, s in enumerate([(3, 4, 2), (3, 5), (3, 5)])
)
BUGS = []


def bug(says, *inputs):
    def register(make):
        BUGS.append(pytest.param(make, inputs, says, id=make.__name__))
        return make

    return register


def drawn(layer, *sizes, **options):
    return layer.random(*sizes, np.random.default_rng(1), dtype=np.float64, **options)


@bug("dx", X)
def two_steps_swapped():
    class Swapped(RNN):
        def backward(self, dout):
            return super().backward(dout)[:, [1, 0, 2, 3]]

    return drawn(Swapped, 2, 5)


@bug("dWx|dWh|db|dx", X)
def dout_read_from_the_wrong_step():
    class Wrong(LSTM):
        def backward(self, dout):
            return super().backward(np.roll(dout, 1, axis=1))

    return drawn(Wrong, 2, 5)


@bug("db", X)
def forget_gate_without_its_derivative():
    class Wrong(LSTM):
        def backward(self, dout):
            dx = super().backward(dout)
            # as if df were not multiplied by f (1 - f)
            f = self.gates[:, 1]
            self.db = self.db.copy()
            self.db[5:10] /= (f * (1 - f)).mean()
            return dx

    return drawn(Wrong, 2, 5)


@bug("dWh|dbh|dbx|dWx|dx", X)
def gru_without_the_reset_gate_in_du():
    class Wrong(GRU):
        def backward(self, dout):
            dx = super().backward(dout)
            self.dbh = self.dbx  # du_n = da_n
            return dx

    return drawn(Wrong, 2, 5)


@bug("dh0", X, H0)
def dh0_missing():
    class Wrong(RNN):
        def backward(self, dout):
            dx, dh0 = super().backward(dout)
            return dx, np.zeros_like(dh0)

    return drawn(Wrong, 2, 5)


@bug("a tuple of 3 gradients", X, H0, C0)
def only_dx_returned():
    class Wrong(LSTM):
        def backward(self, dout):
            return super().backward(dout)[0]

    return drawn(Wrong, 2, 5)


@bug("dh0|dc0", X, H0, C0)
def states_swapped():
    class Wrong(LSTM):
        def backward(self, dout):
            dx, dh0, dc0 = super().backward(dout)
            return dx, dc0, dh0

    return drawn(Wrong, 2, 5)


@bug("dWh", X)
def dW_of_the_last_step_only():  # noqa: N802
    class Wrong(RNN):
        def _through_time(self, dout):
            da, dh0 = super()._through_time(dout)
            self.dWh = self.h[-2].T @ da[-1]
            return da, dh0

    return drawn(Wrong, 2, 5)


@bug("dx|dWx|dWh|db", X)
def nothing_passed_from_step_to_step():
    class Wrong(RNN):
        def _through_time(self, dout):
            da = dout.swapaxes(0, 1) * (1 - self.h[1:] ** 2)
            rows = da.reshape(-1, 5)
            self.dWx, self.db = self.x.reshape(-1, 2).T @ rows, rows.sum(axis=0)
            self.dWh = self.h[:-1].reshape(-1, 5).T @ rows
            return da, da[0]

    return drawn(Wrong, 2, 5)


@bug("db|dWx|dWh|dx", X)
def gradient_of_the_last_state_ignored():
    class Wrong(GRU):
        def backward(self, dout):
            return super().backward((dout[0], np.zeros_like(dout[1])))

    return drawn(Wrong, 2, 5, return_state=True)


@bug("keeps something of the first|two answers", X)
def state_kept_between_batches():
    class Wrong(RNN):
        last = None

        def forward(self, x):
            hs = super().forward(x)
            if self.last is not None:
                hs = hs + 0.1 * self.last
            self.last = self.h[-1][:, np.newaxis]
            return hs

    return drawn(Wrong, 2, 5)


@bug("dW|dx|db", X)
def a_mask_that_is_forgotten_in_backward():
    class Wrong(SelfAttention):
        def backward(self, dout):
            whole = SelfAttention(self.W, self.b, self.Wo, self.bo, self.heads)
            whole.forward(self.x.reshape(self.x_shape))
            self.attention.weights = whole.weights
            return super().backward(dout)

    return drawn(Wrong, 2, 1, causal=True)


@bug("dkeys|dqueries", X, X[:, ::-1], X)
def scores_scaled_twice_in_backward():
    class Wrong(Attention):
        def backward(self, dout):
            dq, dk, dv = super().backward(dout)
            return dq / 2**0.5, dk / 2**0.5, dv

    return Wrong()


@bug("dW", np.array([[0, 1], [1, 1]]))
def repeated_words_counted_once():
    class Wrong(Embedding):
        def backward_params(self, dout):
            self.dW = np.zeros_like(self.W)
            self.dW[self.x] += dout

    return drawn(Wrong, 3, 2)


@bug("dW", X)
def places_summed_over_time():
    class Wrong(PositionalEmbedding):
        def backward(self, dout):
            dx = super().backward(dout)
            self.dW[: dout.shape[1]] = dout.sum(axis=(0, 1))
            return dx

    return drawn(Wrong, 4, 2)


@bug("dx", X)
def gradient_not_reversed():
    class Wrong(Reverse):
        def backward(self, dout):
            return dout

    return Wrong()


@pytest.mark.parametrize(("make", "inputs", "says"), BUGS)
def test_a_planted_bug_of_sequences_is_caught(make, inputs, says):
    with pytest.raises(GradientError, match=rf"{says}"):
        check_gradients(make(), *inputs)


@pytest.mark.parametrize(("make", "inputs", "says"), BUGS)
def test_without_the_bug_it_passes(make, inputs, says):
    """The bug is what is caught, not the layer below it."""
    right = make().__class__.__mro__[1]
    layer = make()
    layer.__class__ = right
    check_gradients(layer, *inputs)


class Leaking(SelfAttention):
    """Its gradients are right, but each step sees the next one too."""

    def _mask(self, valid, n, steps):
        return np.tri(steps, k=1, dtype=bool)


def sees_the_future(layer, x):
    """Whether a change of the last step changes an earlier output."""
    before = layer.forward(x)
    changed = x.copy()
    changed[:, -1] += 1
    return not np.array_equal(before[:, :-1], layer.forward(changed)[:, :-1])


def test_a_mask_that_leaks_the_future_is_seen():
    x = np.random.default_rng(0).normal(size=(2, 5, 4))
    assert sees_the_future(drawn(Leaking, 4, 2, causal=True), x)
    assert not sees_the_future(drawn(SelfAttention, 4, 2, causal=True), x)
    layer_laws(lambda rng: SelfAttention.random(4, 2, rng, causal=True), x)
