"""A layer that trains an array which nothing declares: told in the first step, wherever it is."""

import numpy as np
import pytest

from chainrule.layers import Affine, GradientError, Layer, MSELoss, layer_laws
from chainrule.networks import SGD, Graph, Sequential, Trainer, minimize


class Undeclared(Layer):
    """A product without ``param_names``."""

    def __init__(self):
        self.W = np.eye(3)

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dout):
        self.dW = self.x.T @ dout
        return dout @ self.W.T


class Shift(Layer):
    """A preparation of the data, which has no backward."""

    def forward(self, x):
        return x - 1


class Chain(Graph):
    part_names = ("layers",)

    def connect(self, stack, x):
        for layer in self.layers:
            x = stack.push(layer, x)
        return x


def train(net):
    x, t = np.ones((5, 3)), np.zeros((5, 2))
    return Trainer(net, MSELoss(), SGD(), np.random.default_rng(0)).train_step(x, t)


def optimize(net):
    return minimize(net, MSELoss(), np.ones((5, 3)), np.zeros((5, 2)), progress=False).fun


def affine():
    return Affine(np.ones((3, 2)), np.zeros(2))


@pytest.mark.parametrize("run", [train, optimize])
@pytest.mark.parametrize("kind", [Sequential, Chain])
def test_before_the_first_declared_parameter(run, kind):
    frozen = Affine(np.eye(3), np.zeros(3))
    frozen.freeze()
    with pytest.raises(TypeError, match=r"^0, Undeclared.*: backward assigns dW.*\('W',\)$"):
        run(kind(Undeclared(), frozen, affine()))


def test_a_layer_without_backward_may_come_first():
    assert train(Sequential(Shift(), affine())) == 0


class BookSigmoid:
    """The books' style: what forward saved is an attribute of the constructor."""

    def __init__(self):
        self.out = None

    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self, dout):
        return dout * self.out * (1 - self.out)


def test_what_a_plain_class_saved_in_forward_is_taken_for_no_parameter():
    rng = np.random.default_rng(0)
    net, x = Sequential(Affine.random(3, 4, rng), BookSigmoid()), np.ones((2, 3))
    net.forward(x)
    for _ in range(2):  # a second training goes on with the same net
        trainer = Trainer(net, MSELoss(), SGD(0.1), rng=rng)
        trainer.train_step(x, np.zeros((2, 4)))


class Lists(Layer):
    """Two products, whose matrices are in lists."""

    def __init__(self):
        self.Ws = [np.eye(3), np.eye(3)]

    def forward(self, x):
        self.xs = [x, x @ self.Ws[0]]
        return self.xs[1] @ self.Ws[1]

    def backward(self, dout):
        between = dout @ self.Ws[1].T
        self.dWs = [self.xs[0].T @ between, self.xs[1].T @ dout]
        return between @ self.Ws[0].T


def test_arrays_in_a_list_are_told():
    expected = (
        r"Ws would not be trained; give each array an attribute of its own, which param_names"
    )
    with pytest.raises(TypeError, match=expected):
        train(Sequential(Lists(), affine()))
    with pytest.raises(GradientError, match=expected):
        layer_laws(Lists, np.ones((2, 3)))


class Filled(Layer):
    """Fills its lists anew in each forward and backward."""

    def __init__(self):
        self.xs, self.dxs = [], []

    def forward(self, x):
        self.xs[:] = [x]
        return 2 * x

    def backward(self, dout):
        self.dxs[:] = [2 * dout]
        return 2 * dout


def test_what_forward_saves_in_a_list_is_taken_for_no_parameter():
    net, x, rng = Sequential(Filled(), affine()), np.ones((2, 3)), np.random.default_rng(0)
    for _ in range(2):  # a second training goes on with the same net and the same data
        Trainer(net, MSELoss(), SGD(0.1), rng=rng).train_step(x, np.zeros(net.forward(x).shape))


class Averaging(Layer):
    """Puts a number in the place of its buffer."""

    buffer_names = ("mean",)

    def __init__(self):
        self.mean = np.zeros(())

    def forward(self, x):
        self.mean = 0.9 * self.mean + 0.1 * x.mean()
        return x

    def backward(self, dout):
        return dout


def test_a_buffer_that_becomes_a_number_is_told_in_the_first_step():
    net = Sequential(Averaging(), affine())
    x = np.ones((2, 3))
    t = np.zeros(affine().forward(x).shape)
    trainer = Trainer(net, MSELoss(), SGD(0.1), rng=np.random.default_rng(0))
    with pytest.raises(TypeError, match=r"'0.mean' is a float64, expected an array, .* updated"):
        trainer.train_step(x, t)
