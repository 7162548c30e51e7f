"""A layer that trains an array which nothing declares: told in the first step, wherever it is."""

import numpy as np
import pytest

from chainrule.layers import Affine, Layer, MSELoss
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
