"""A layer made of layers: their parameters, mode and state are its own too."""

import numpy as np

from chainrule.layers import Affine, BatchNorm, Dropout, Layer, ReLU, layer_laws
from chainrule.networks import Sequential


class Residual(Layer):
    """out = x + block(x), written by hand around a net of its own."""

    def __init__(self, block):
        self.block = block

    def forward(self, x):
        return x + self.block.forward(x)

    def backward(self, dout):
        return dout + self.block.backward(dout)


def residual(rng=None):
    rng = rng or np.random.default_rng(0)
    norm = BatchNorm(np.ones(3), np.zeros(3))
    return Residual(Sequential(Affine.random(3, 3, rng), norm, Dropout(0.5, rng)))


def test_a_layer_made_of_layers_lends_their_parameters_mode_and_state():
    layer = residual()
    names = ["W", "b"], ["gamma", "beta"]
    block = layer.block
    expected = [getattr(block[i], name) for i in (0, 1) for name in names[i]]
    assert all(a is b for a, b in zip(layer.params, expected, strict=True))
    net = Sequential(layer, Affine.random(3, 2, np.random.default_rng(1)))
    assert len(net.params) == 6
    names = ("0.W", "0.b", "1.gamma", "1.beta")
    assert list(net.state_dict())[:4] == [f"0.block.{name}" for name in names]
    assert "0.block.1.running_mean" in net.state_dict()
    net.eval()
    assert not block[2].training
    net.train()
    net.backward(np.ones_like(net.forward(np.eye(3))))
    assert net.grads[0] is block[0].dW
    assert "0.block.0" in net.summary()
    layer_laws(residual, np.random.default_rng(2).normal(size=(4, 3)))


def test_a_replaced_part_is_the_one_that_is_trained():
    layer = residual()
    net = Sequential(layer)
    layer.block = Sequential(Affine.random(3, 3, np.random.default_rng(3)))
    assert [id(p) for p in net.params] == [id(p) for p in layer.block[0].params]


def test_parts_in_lists_and_dicts_and_by_two_names():
    class Wide(Residual):
        def __init__(self):
            self.blocks = [Affine(np.eye(2), np.zeros(2))]
            self.by_name = {"relu": ReLU(), "last": self.blocks[0]}

    assert list(Wide().state_dict()) == ["blocks.0.W", "blocks.0.b"]
    assert "blocks.0" in Sequential(Wide()).summary()


def test_parameters_that_a_class_lists_itself_are_saved_too():
    class Scale(Residual):
        def __init__(self):
            self.factor = np.array([2.0])

        params = property(lambda self: [self.factor])
        grads = property(lambda self: [np.zeros(1)])

    net = Sequential(Scale())
    assert list(net.state_dict()) == ["0.params.0"]
    net.load_state_dict({"0.params.0": np.array([3.0])})
    assert net[0].factor == 3
