"""A layer made of layers: their parameters, mode and state are its own too."""

import numpy as np
import pytest

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


def affine():
    return Affine.random(3, 3, np.random.default_rng(0))


class WithHandle(Residual):
    """A residual block that also has its first layer by a name, and its parent."""

    def __init__(self, parent=None):
        super().__init__(Sequential(affine(), ReLU()))
        self.first = self.block[0]
        self.parent = parent


def test_a_second_name_for_a_layer_is_no_second_layer():
    layer = WithHandle()
    layer.parent = layer
    for net in (layer, Sequential(layer)):
        net.backward(np.ones_like(net.forward(np.eye(3))))
        assert len(net.params) == 2
        assert net.grads[0] == pytest.approx(layer.first.dW)
        assert len(net.state_dict()) == 2


def test_one_layer_in_two_of_a_nets_places_is_an_error():
    layer = affine()
    with pytest.raises(ValueError, match=r"stands at 0 and 1\.block; a layer remembers one"):
        Sequential(layer, Residual(layer))


def test_what_a_net_gets_after_it_was_made_is_trained():
    class Headed(Sequential):
        param_names = ("scale",)

        def __init__(self):
            super().__init__(affine())
            self.head = affine()
            self.scale = np.ones(1)

    net = Headed()
    assert len(net.params) == len(net.state_dict()) == 5
    late = Residual(ReLU())
    late.blocks = []
    net = Sequential(affine(), late)
    assert len(net.params) == 2
    late.blocks.append(affine())
    assert len(net.params) == 4

    class Lazy(Residual):
        def forward(self, x):
            if self.block is None:
                self.block = affine()
            return super().forward(x)

    net = Sequential(Lazy(None))
    assert net.params == []
    net.predict(np.eye(3))  # a change of the mode looks anew
    assert len(net.params) == 2


def test_layers_in_nested_lists_and_names_that_collide():
    layer = Residual(None)
    layer.blocks = [[affine(), affine()], {"last": affine()}]
    assert len(layer.params) == 6
    assert list(layer.state_dict())[-1] == "blocks.1.last.b"
    layer.layers = {"head": affine()}
    layer.head = affine()
    with pytest.raises(ValueError, match="two of its layers are called 'head'"):
        layer.params  # noqa: B018


def test_a_part_that_backward_left_out_is_named():
    layer = Residual(affine())
    layer.unused = affine()
    layer.backward(layer.forward(np.eye(3)))
    with pytest.raises(AttributeError, match=r"first: unused, Affine\(3 -> 3\), has no 'dW'"):
        layer.grads  # noqa: B018


def test_deep_nesting_takes_no_time():
    layer = affine()
    for _ in range(30):
        layer = Residual(layer)
    assert len(layer.params) == 2


def test_a_state_of_views_of_the_net_itself():
    net = Sequential(affine(), Affine.random(3, 3, np.random.default_rng(1)))
    first, second = net[0].W.copy(), net[1].W.copy()
    views = net.state_dict() | {"0.W": net[1].W, "1.W": net[0].W}
    net.load_state_dict(views)
    assert np.array_equal(net[0].W, second)
    assert np.array_equal(net[1].W, first)


def test_a_state_that_unties_is_refused_whole():
    W = np.eye(3)
    net = Sequential(Affine(W, np.zeros(3)), Affine(W, np.zeros(3)))
    state = net.state_dict() | {"0.b": np.ones(3), "1.W": 2 * W}
    with pytest.raises(ValueError, match=r"state '1\.W' differs from that of a name it is tied to"):
        net.load_state_dict(state)
    assert not net[0].b.any()
    frozen = np.ones(3)
    frozen.flags.writeable = False
    net = Sequential(Affine(np.eye(3), np.zeros(3)), Affine(np.eye(3), frozen))
    with pytest.raises(ValueError, match=r"'1\.b' is read-only"):
        net.load_state_dict({name: array + 1 for name, array in net.state_dict().items()})
    assert np.array_equal(net[0].W, np.eye(3))


def test_a_buffer_that_is_no_array_is_named():
    layer = Residual(ReLU())
    layer.buffer_names, layer.n = ("n",), 0
    with pytest.raises(TypeError, match="Residual: 'n' is a int, expected an array"):
        layer.state_dict()
