"""gradient_flow and summary: nets in threads, and layers that have parts and parameters."""

import numpy as np
import pytest

from chainrule.layers import Affine, CrossEntropyLoss, SelfAttention, Tanh
from chainrule.networks import DataParallel, Sequential, gradient_flow, value_and_grads


@pytest.mark.parametrize("threads", [1, 2])
def test_a_net_in_threads_is_watched_whole(threads):
    rng = np.random.default_rng(0)
    net = Sequential(Affine.random(4, 3, rng), Tanh(), Affine.random(3, 2, rng))
    x, t = rng.normal(size=(20, 4)).astype("f"), rng.integers(2, size=20)
    shared, loss = DataParallel(net, threads), CrossEntropyLoss()
    value_and_grads(shared, loss, x, t)
    flow, expected = (gradient_flow(n, loss, x, t).rows for n in (shared, net))
    assert flow == expected
    assert shared.summary(x).count("(20, ") == 3
    assert shared.threads == threads


def test_the_flow_shows_the_gradients_of_a_layer_that_has_parts_too():
    rng = np.random.default_rng(0)
    net = Sequential(SelfAttention.random(4, 2, rng), Affine.random(4, 2, rng))
    x, t = rng.normal(size=(2, 3, 4)).astype("f"), rng.integers(2, size=(2, 3))
    rows = gradient_flow(net, CrossEntropyLoss(), x, t).rows
    value_and_grads(net, CrossEntropyLoss(), x, t)
    names = net[0].param_names
    norm = np.sqrt(sum(np.square(getattr(net[0], f"d{name}")).sum() for name in names))
    assert rows[0]["gradient"] == pytest.approx(norm)
