"""Exported models beside the nets: onnxruntime computes what `predict` computes."""

import sys

import numpy as np
import onnx
import pytest
from conformance import LOSSES, TABLE, Plain, digits, make, tied, x
from small_onnx import ACCURACY, assert_same, in_dtype

from chainrule.layers import (
    GELU,
    AddLayer,
    Affine,
    AveragePooling,
    BatchNorm,
    Convolution,
    ConvolutionTranspose,
    Dropout,
    Layer,
    MaxPooling,
    MSELoss,
    Pad,
    ReLU,
    Sigmoid,
    Tanh,
)
from chainrule.layers.tree import walk
from chainrule.networks import Parallel, Sequential, residual_conv_net, simple_conv_net
from chainrule.networks.interchange import onnx_operators, to_onnx

REFUSED = {factory for factory, *_ in LOSSES} | {Plain}


@pytest.mark.parametrize("dtype", ACCURACY)
@pytest.mark.parametrize(("factory", "inputs"), TABLE)
def test_every_layer_of_the_table(factory, inputs, dtype):
    net = make(factory)
    inputs = in_dtype(net, inputs, dtype)
    if factory in REFUSED or any(isinstance(part, Plain) for _, part in walk(net)):
        with pytest.raises(TypeError, match=r"to_onnx: .* has no counterpart in ONNX"):
            to_onnx(net, *inputs)
        return
    for part in getattr(net, "params", []):
        part += 0.1  # gamma and beta, b: not the numbers that a new layer has
    model = to_onnx(net, *inputs)
    if getattr(net, "groups", 1) > 1 and isinstance(net, ConvolutionTranspose):
        # which ONNX's evaluator cannot run, and onnxruntime not in doubles
        inputs = in_dtype(net, inputs, np.float32)
        single = to_onnx(net, *inputs)
        assert [node.SerializeToString() for node in model.graph.node] == [
            node.SerializeToString() for node in single.graph.node
        ]
        model, dtype = single, np.float32
    accuracy = ACCURACY[dtype]
    if any(isinstance(part, GELU) for _, part in walk(net)):
        accuracy = max(accuracy, 1e-6)  # ONNX's evaluator has an erf of floats
    assert_same(model, net, inputs, accuracy)


@pytest.mark.parametrize("n", [1, 7])
def test_the_batch_is_free(n):
    rng = np.random.default_rng(0)
    net = digits(rng)
    net.forward(x(5, 1, 6, 6))  # running averages
    model = to_onnx(net, x(5, 1, 6, 6, dtype=np.float32))
    assert_same(model, net, (x(n, 1, 6, 6, dtype=np.float32),), 1e-5)


@pytest.mark.parametrize("recipe", [simple_conv_net, residual_conv_net])
def test_the_recipes(recipe):
    rng = np.random.default_rng(0)
    net = recipe(rng)
    images = rng.random((3, 1, 28, 28), dtype=np.float32)
    net.forward(images)
    model = to_onnx(net, images[:1])
    assert_same(model, net, (images,), 1e-5)
    weights = {entry.name for entry in model.graph.initializer}
    assert set(net.state_dict()) <= weights


def test_weights_are_the_states_and_in_c_order():
    W = np.asfortranarray(x(3, 2))
    net = Sequential(Affine(W, x(2)), BatchNorm.identity(2))
    model = to_onnx(net, x(4, 3))
    weights = {entry.name: onnx.numpy_helper.to_array(entry) for entry in model.graph.initializer}
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(weights[name], array)


def test_a_shared_array_is_stored_once():
    model = to_onnx(tied(np.random.default_rng(0)), x(4, 3))
    assert [entry.name for entry in model.graph.initializer] == ["0.W", "0.b", "2.b"]


def test_names_of_inputs_and_outputs():
    model = to_onnx(Parallel(AddLayer(), Tanh()), (x(4, 3), x(4, 3)), x(4, 2))
    assert [entry.name for entry in model.graph.input] == ["x_0_0", "x_0_1", "x_1"]
    assert [entry.name for entry in model.graph.output] == ["y_0", "y_1"]
    model = to_onnx(Tanh(), x(4, 3))
    (entry,) = model.graph.input
    assert entry.name == "x"
    assert [d.dim_param or d.dim_value for d in entry.type.tensor_type.shape.dim] == ["N", 3]
    (entry,) = model.graph.output
    assert entry.name == "y"
    assert [d.dim_param or d.dim_value for d in entry.type.tensor_type.shape.dim] == ["N", 3]


def test_a_weight_may_be_called_as_an_input_is():
    class Scale(Layer):
        param_names = ("x", "y")

        def __init__(self):
            self.x, self.y = np.float64([2]), np.float64([3])

        def forward(self, x):
            return x * self.x + self.y

    @onnx_operators.register
    def _(layer: Scale, graph, x):
        return graph.add("Add", graph.add("Mul", x, layer.x), layer.y)

    with pytest.raises(ValueError, match="a parameter called 'x'"):
        to_onnx(Scale(), x(4, 3))
    assert_same(to_onnx(Sequential(Scale()), x(4, 3)), Sequential(Scale()), (x(4, 3),), 1e-12)


def test_integers_become_floats():
    net = Sequential(Affine.random(3, 2, np.random.default_rng(0)), ReLU())
    pixels = np.arange(12, dtype=np.uint8).reshape(4, 3)
    assert_same(to_onnx(net, pixels), net, (pixels,), 1e-5)


def test_the_net_is_left_as_it_was():
    net = digits(np.random.default_rng(0))
    net[0].eval()
    dout = np.ones_like(net.forward(x(5, 1, 6, 6)))
    state, modes = net.state_dict(), [part.training for part in net]
    to_onnx(net, x(2, 1, 6, 6))
    assert [part.training for part in net] == modes
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
    assert net.backward(dout).shape == (5, 1, 6, 6)


@pytest.mark.parametrize("between", [[], [Dropout(0.5, np.random.default_rng(0))], [Sequential()]])
@pytest.mark.parametrize("pooling", [MaxPooling, AveragePooling])
def test_pad_before_pooling(between, pooling):
    net = Sequential(Pad(1), *between, pooling(2))
    images = -1 - np.random.default_rng(0).random((2, 3, 4, 6), dtype=np.float32)
    assert net.predict(images)[0, 0, 0, 0] > -1  # a zero of the padding counts
    assert_same(to_onnx(net, images), net, (images,), 1e-6)


def test_pad_before_convolution():
    rng = np.random.default_rng(0)
    net = Sequential(Pad((1, 2)), Convolution.random(2, 3, 3, rng, pad=1))
    images = x(2, 2, 5, 4, dtype=np.float32)
    assert_same(to_onnx(net, images), net, (images,), 1e-5)


def test_a_layer_of_your_own():
    class Swish(Layer):
        part_names = ("sigmoid",)

        def __init__(self):
            self.sigmoid = Sigmoid()

        def forward(self, x):
            return x * self.sigmoid.forward(x)

    net = Sequential(Affine.random(3, 2, np.random.default_rng(0)), Sequential(Swish()))
    with pytest.raises(TypeError, match=r"Swish.* at 1\.0 has no counterpart") as error:
        to_onnx(net, x(4, 3))
    assert "onnx_operators.register" in str(error.value)

    @onnx_operators.register
    def _(layer: Swish, graph, x):
        return graph.add("Mul", x, graph.add("Sigmoid", x))

    assert_same(to_onnx(net, x(4, 3)), net, (x(4, 3),), 1e-6)


def test_a_subclass_with_another_forward_is_refused():
    class Doubled(Affine):
        def forward(self, x):
            return 2 * super().forward(x)

    with pytest.raises(TypeError, match=r"Doubled.* has another forward than Affine"):
        to_onnx(Sequential(Doubled(x(3, 2), x(2))), x(4, 3))


def test_a_loss_is_refused():
    with pytest.raises(TypeError, match=r"MSELoss.* has no counterpart in ONNX"):
        to_onnx(MSELoss(), x(4, 3), x(4, 3))


def test_without_onnx(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'chainrule\[onnx\]'"):
        to_onnx(Tanh(), x(4, 3))


def test_an_example_input_is_needed():
    with pytest.raises(TypeError, match=r"to_onnx: the inputs are missing; give an example"):
        to_onnx(Tanh())
