"""What a layer owns: in which containers, under which names, in whose memory, with which values."""

from collections import UserDict, UserList, deque
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from chainrule.layers import Affine, Layer, MatMul, Tanh
from chainrule.networks import Sequential


class Holder(Layer):
    """Layers in a container, one after the other."""

    part_names = ("blocks",)

    def __init__(self, blocks):
        self.blocks = blocks

    def forward(self, x):
        for block in self.blocks:
            x = block.forward(x)
        return x


CONTAINERS = {
    "deque": deque,
    "set": set,
    "ndarray": lambda layers: np.array([*layers, None], object),
    "UserList": UserList,
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_layers_in_a_container_that_is_not_looked_into_are_told(name):
    expected = rf"0, Holder: the part 'blocks' is a {name}, expected a layer, or a list, tuple or"
    with pytest.raises(TypeError, match=expected):
        Sequential(Holder(CONTAINERS[name]([Tanh()])), Tanh())


@pytest.mark.parametrize("name", [*CONTAINERS, "UserDict"])
def test_undeclared_layers_are_found_in_any_collection(name):
    class Hidden(Holder):
        part_names = ()

    blocks = UserDict(a=Tanh()) if name == "UserDict" else CONTAINERS[name]([Tanh()])
    with pytest.raises(TypeError, match=r"attribute 'blocks' holds a layer that would not be"):
        Sequential(Hidden(blocks), Tanh())


@pytest.mark.parametrize("value", [range(10**15), np.array(None, object), "text", iter([Tanh()])])
def test_other_attributes_are_left_alone(value):
    class Other(Tanh):
        def __init__(self):
            self.value = value

    net = Sequential(Other())
    assert net.forward(np.zeros((1, 1))) == 0


def test_overlapping_parameters_are_found_beyond_the_next_one():
    W = np.zeros((4, 4))
    a, b, c = W[:, :2], W[:, 2:], W[1:3, :2]
    with pytest.raises(ValueError, match=r"W of 0, MatMul.* and W of 2, MatMul.* share memory"):
        Sequential(MatMul(a), MatMul(b), MatMul(c))


def test_two_arrays_of_one_name_cannot_be_saved():
    class Named(Layer):
        part_names = ("layers",)

        def __init__(self, affine):
            self.layers = {"a": Sequential(affine()), "a.0": affine()}

    layer = Named(lambda: Affine(np.eye(2), np.zeros(2)))
    with pytest.raises(ValueError, match=r"Named: two of its arrays are called 'a\.0\.[Wb]'"):
        layer.state_dict()


def test_buffers_may_hold_what_is_not_finite_or_no_number():
    class Greatest(Layer):
        buffer_names = ("most", "names")

        def __init__(self):
            self.most, self.names = np.full(3, -np.inf), np.array(["a", "b"])

    layer = Greatest()
    layer.load_state_dict(layer.state_dict())
    assert (layer.most == -np.inf).all()
    layer.most = layer.most.astype(np.float16)
    state = {"most": np.full(3, 1e10), "names": layer.names}
    with pytest.raises(ValueError, match=r"'most' holds 10000000000\.0, not finite in float16"):
        layer.load_state_dict(state)


@dataclass
class Record:
    block: object


@pytest.mark.parametrize("record", [Record, lambda block: SimpleNamespace(block=block)])
def test_layers_in_a_record_are_told(record):
    class Holding(Layer):
        def __init__(self):
            self.inner = record(Tanh())

    with pytest.raises(TypeError, match=r"attribute 'inner' holds a layer .* part_names"):
        Sequential(Holding())


@dataclass(slots=True)
class Node:
    owner: object
    parent: object = None


def test_records_may_refer_to_each_other_and_to_their_layer():
    class Holding(Tanh):
        def __init__(self):
            self.node = Node(self, Node(None))
            self.node.parent.parent = self.node

    class HoldingOne(Tanh):
        def __init__(self):
            self.node = Node(self, [Tanh()])

    Sequential(Holding())
    with pytest.raises(TypeError, match="attribute 'node' holds a layer"):
        Sequential(HoldingOne())
