"""What a training step of 784-512-512-10 allocates: a regression shows here without a clock."""

import tracemalloc

import numpy as np
import pytest

from chainrule.layers import Affine, CrossEntropyLoss, ReLU
from chainrule.networks import SGD, Adam, Sequential, Trainer

ROWS = 128
HIDDEN = ROWS * 512 * 4  # bytes of one hidden layer's values
WEIGHTS = 784 * 512 * 4  # bytes of the largest weight matrix
BLOCK = 65_536 * 4  # bytes of what an optimizer updates at a time
SMALL = 30_000


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.random((ROWS, 784), dtype=np.float32), rng.integers(0, 10, ROWS)


@pytest.fixture
def net():
    rng = np.random.default_rng(0)
    return Sequential(
        Affine.random(784, 512, rng),
        ReLU(),
        Affine.random(512, 512, rng),
        ReLU(),
        Affine.random(512, 10, rng),
    )


@pytest.fixture
def peak():
    """Return a function that calls another, and returns its value and the bytes it needed."""

    def measure(function, *arguments):
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        value = function(*arguments)
        return value, tracemalloc.get_traced_memory()[1] - before

    tracemalloc.start()
    yield measure
    tracemalloc.stop()


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_what_each_part_of_a_step_needs(net, data, kind, peak):
    (x, t), loss, optimizer = data, CrossEntropyLoss(), kind()
    for _ in range(2):  # the second step frees what the first had left
        y, forward = peak(net.forward, x)
        _, loss_forward = peak(loss.forward, y, t)
        dout, loss_backward = peak(loss.backward)
        _, backward = peak(net.backward_params, dout)
        _, update = peak(optimizer.step, net.params, net.grads)
    # ReLU's input, zeros and output; what it held before is freed only then
    assert forward < 3 * HIDDEN + SMALL
    assert loss_forward + loss_backward < SMALL
    # the first layer's dW and the gradient that it comes from, while the old dW is still there
    assert backward < WEIGHTS + HIDDEN + SMALL
    # one array more than the state, of one block
    assert update < BLOCK + SMALL


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_steps_leave_nothing_behind(net, data, kind, peak):
    trainer = Trainer(net, CrossEntropyLoss(), kind(), rng=np.random.default_rng(0))
    trainer.train_step(*data)
    trainer.train_step(*data)
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(5):
        trainer.train_step(*data)
    assert tracemalloc.get_traced_memory()[0] - before < SMALL
