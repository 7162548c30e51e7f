"""Exported graphs beside the nets."""

import numpy as np
import pytest
from conformance import x
from small_onnx import ACCURACY, assert_same, in_dtype

from chainrule.layers import AddLayer, Affine, MulLayer, Sigmoid, Tanh
from chainrule.networks import Graph, Parallel, Sequential
from chainrule.networks.interchange import to_onnx


class Twins(Graph):
    part_names = ("tower", "ends")

    def __init__(self, rng):
        self.tower = Sequential(Affine.random(3, 4, rng), Tanh())
        self.ends = {"add": AddLayer(), "scale": MulLayer(), "both": Parallel(Sigmoid(), Tanh())}

    def connect(self, stack, x1, pair):
        x2, x3 = pair
        first, second = stack.push(self.tower, x1), stack.push(self.tower, x2)
        total = stack.push(self.ends["add"], first, second)
        total = stack.push(self.ends["scale"], total, stack.value(0.5))
        return total, stack.push(self.ends["both"], first, x3)


@pytest.mark.parametrize("dtype", ACCURACY)
def test_a_graph(dtype):
    net = Sequential(Twins(np.random.default_rng(0)))
    inputs = in_dtype(net, (x(2, 3), (x(2, 3) + 1, x(2, 5))), dtype)
    model = to_onnx(net, *inputs)
    assert_same(model, net, inputs, ACCURACY[dtype])
    names = [entry.name for entry in model.graph.initializer]
    assert names.count("0.tower.0.W") == 1
    bigger = in_dtype(Tanh(), (x(5, 3), (x(5, 3), x(5, 5))), dtype)
    assert_same(model, net, bigger, ACCURACY[dtype])


def test_a_graph_within_a_graph():
    class Twice(Graph):
        part_names = ("inner",)

        def __init__(self, inner):
            self.inner = inner

        def connect(self, stack, x):
            return stack.push(self.inner, stack.push(self.inner, x))

    net = Twice(Twice(Affine.random(3, 3, np.random.default_rng(0))))
    assert_same(to_onnx(net, x(4, 3)), net, (x(4, 3),), 1e-6)
