"""The function stack: worked numbers, layers pushed again, and stepping through the calls."""

import copy
import pickle
import re

import numpy as np
import pytest
from conformance import TABLE, Plain, make

from chainrule.layers import (
    AddLayer,
    Affine,
    BatchNorm,
    CrossEntropyLoss,
    Dropout,
    Identity,
    Layer,
    MatMul,
    MSELoss,
    MulLayer,
    ReLU,
    Sigmoid,
    Tanh,
)
from chainrule.networks import Branch, FunctionStack, Graph, Parallel, Sequential


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_price_of_two_apples():
    stack = FunctionStack()
    apple, number, tax = (stack.value(v) for v in (100, 2, 1.1))
    price = stack.push(MulLayer(), stack.push(MulLayer(), apple, number), tax)
    stack.backward(price)
    assert price.data == 220.00000000000003
    assert (apple.grad, number.grad, tax.grad) == (2.2, 110.00000000000001, 200)
    assert type(tax.grad) is int


def test_apples_and_oranges_as_one_net_with_nested_inputs():
    shop = Sequential(
        Parallel(Sequential(Parallel(MulLayer(), MulLayer()), AddLayer()), Identity()), MulLayer()
    )
    stack = FunctionStack()
    basket, tax = stack.value(((100, 2), (150, 3)), "basket"), stack.value(1.1, "tax")
    price = stack.push(shop, basket, tax)
    stack.backward(price)
    grads = [[value.grad for value in fruit] for fruit in basket]
    np.testing.assert_allclose(grads, [[2.2, 110], [3.3, 165]])
    assert (price.data, tax.grad) == (715.0000000000001, 650)


def test_a_value_used_twice_gets_the_sum_and_one_that_nobody_needs_none():
    stack = FunctionStack()
    x, other = stack.value(3), stack.value(4)
    aside = stack.push(MulLayer(), x, other)
    y = stack.push(AddLayer(), stack.push(MulLayer(), x, x), x)
    stack.backward(y)
    assert (y.data, x.grad) == (12, 7)
    assert aside.grad is None
    assert other.grad is None
    assert stack.calls[0].dout is None


def test_one_layer_pushed_twice_cubes():
    stack, mul, x = FunctionStack(), MulLayer(), None
    x = stack.value(2)
    stack.backward(stack.push(mul, stack.push(mul, x, x), x))
    assert x.grad == 12
    stack.backward(stack.calls[0].output)  # now x^2 alone
    assert x.grad == 4
    stack.backward(stack.calls[1].output)
    assert x.grad == 12


def test_the_calls_are_gone_through_one_at_a_time():
    stack, mul = FunctionStack(), MulLayer()
    x = stack.value(2.0)
    y = stack.push(mul, stack.push(mul, x, x), x)
    forward = [([v.data for v in call.inputs], call.output.data) for call in stack.calls]
    assert forward == [([2, 2], 4), ([4, 2], 8)]
    y.grad = 1
    steps = []
    for call in reversed(stack.calls):
        call.backward()
        steps.append((call.dout, call.gradients, x.grad))
    assert steps == [(1, (2, 4), 4), (2, (4, 4), 12)]


def others(inputs):
    """Return other inputs of the same kind: the rows from last to first."""
    if isinstance(inputs, tuple):
        return tuple(map(others, inputs))
    return inputs[::-1].copy() if np.ndim(inputs) else 3 * inputs


def spread(stack, inputs):
    return tuple(stack.value(v) if not isinstance(v, tuple) else spread(stack, v) for v in inputs)


def flat(value):
    return [v for part in value for v in flat(part)] if isinstance(value, tuple) else [value]


@pytest.mark.parametrize(("factory", "inputs"), TABLE)
def test_any_layer_pushed_twice_is_as_two_layers(factory, inputs):
    layer = make(factory)
    first = copy.deepcopy(layer)
    out1 = first.forward(*inputs)
    second = copy.deepcopy(first)  # so that buffers and Generators go on
    out2 = second.forward(*others(inputs))

    stack = FunctionStack()
    given = spread(stack, inputs), spread(stack, others(inputs))
    outs = tuple(stack.push(layer, *values) for values in given)
    for value, expected in zip(flat(outs), flat((out1, out2)), strict=True):
        np.testing.assert_array_equal(value.data, expected)

    def dout_of(leaf):
        return rng(3).normal(size=np.shape(leaf)).astype(np.asarray(leaf).dtype)

    def douts(value):
        if isinstance(value, tuple):
            return tuple(map(douts, value))
        return dout_of(value) if np.shape(value) else 1.5

    stack.backward(outs, (douts(out1), douts(out2)))
    for net, out, values in ((first, out1, given[0]), (second, out2, given[1])):
        expected = net.backward(douts(out))
        for a, b in zip(flat(values), flat(expected), strict=False):
            assert (a.grad is None) == (b is None)
            if b is not None:
                np.testing.assert_allclose(a.grad, b, rtol=1e-5)
    if getattr(layer, "params", []):
        for grad, a, b in zip(layer.grads, first.grads, second.grads, strict=True):
            np.testing.assert_allclose(grad, a + b, rtol=1e-5)


def test_each_call_keeps_its_own_parameter_gradients():
    stack, layer = FunctionStack(), MatMul(np.eye(2))
    x = stack.value(np.array([[1.0, 2.0]]))
    y = stack.push(layer, stack.push(layer, x))
    for _ in range(2):
        stack.backward(y)
        np.testing.assert_array_equal(stack.calls[0].dparams[0], [[1, 1], [2, 2]])
        np.testing.assert_array_equal(stack.calls[1].dparams[0], [[1, 1], [2, 2]])
        np.testing.assert_array_equal(layer.dW, [[2, 2], [4, 4]])
    stack.clear_gradients()
    y.grad = np.ones((1, 2))
    for call in reversed(stack.calls):  # by hand: each call's own, which nothing adds up
        call.backward()
    for call in stack.calls:
        np.testing.assert_array_equal(call.dparams[0], [[1, 1], [2, 2]])


def test_nets_that_share_an_inner_layer():
    shared = Affine.random(3, 3, rng(), dtype=np.float64)
    a, b = Sequential(shared, Tanh()), Sequential(ReLU(), shared)
    x = rng(1).normal(size=(4, 3))
    stack = FunctionStack()
    given = stack.value(x)
    y = stack.push(shared, stack.push(b, stack.push(a, given)))
    stack.backward(y)
    alone = [copy.deepcopy(shared) for _ in range(3)]
    net = Sequential(alone[0], Tanh(), ReLU(), *alone[1:])
    np.testing.assert_array_equal(net.forward(x), y.data)
    np.testing.assert_allclose(net.backward(np.ones((4, 3))), given.grad)
    np.testing.assert_allclose(shared.dW, sum(layer.dW for layer in alone))
    np.testing.assert_allclose(shared.db, sum(layer.db for layer in alone))


def test_calls_that_nobody_needs_leave_zeros():
    needed, idle = MatMul(np.eye(2)), MatMul(np.eye(2))
    x = np.ones((1, 2))
    idle.forward(x)
    idle.backward(x)
    stack = FunctionStack()
    given = stack.value(x)
    y = stack.push(needed, given)
    stack.push(idle, given)
    stack.backward(y)
    assert not idle.dW.any()
    assert needed.dW.any()


def test_a_call_needed_once_and_once_not():
    layer = MatMul(np.eye(2))
    stack = FunctionStack()
    x = stack.value(np.ones((1, 2)))
    y = stack.push(layer, x)
    stack.push(layer, y)
    stack.backward(y)
    np.testing.assert_array_equal(layer.dW, np.ones((2, 2)))


class Two(Layer):
    """``out = (x, 2 x)``."""

    def forward(self, x):
        return x, (2 * x, len(x))

    def backward(self, dout):
        self.dout = dout
        dx, (dtwo, _) = dout
        return dx + 2 * dtwo


def test_an_output_that_is_not_used_gets_zeros():
    stack, two = FunctionStack(), Two()
    x = stack.value(np.ones(3))
    first, (second, n) = stack.push(two, x)
    stack.backward(second)
    np.testing.assert_array_equal(x.grad, np.full(3, 2.0))
    np.testing.assert_array_equal(two.dout[0], np.zeros(3))
    assert n.grad is None
    assert first.grad is None


def test_a_loss_is_a_call_too_and_labels_have_no_gradient():
    x, t = rng().normal(size=(4, 3)), np.array([0, 2, 1, 1])
    stack = FunctionStack()
    y, labels = stack.value(x), stack.value(t, "t")
    loss = CrossEntropyLoss()
    value = stack.push(loss, y, labels)
    stack.backward(value)
    np.testing.assert_array_equal(y.grad, loss.backward(1.0))
    assert labels.grad is None


def test_a_class_of_the_books_style_pushed_twice():
    layer = Plain(rng())
    stack = FunctionStack()
    x = stack.value(rng(1).normal(size=(4, 3)))
    ys = stack.push(layer, x), stack.push(layer, x)
    stack.backward(ys)
    np.testing.assert_allclose(layer.grads[0], 2 * (x.data.T @ np.ones((4, 2))))
    np.testing.assert_array_equal(layer.grads[1], [8, 8])


class Named:
    """A class of the books' style: its gradient is an attribute, and listed too."""

    def __init__(self):
        self.W, self.dW = np.eye(2), np.zeros((2, 2))
        self.params, self.grads = [self.W], [self.dW]

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dout):
        self.dW[...] = self.x.T @ dout
        return dout @ self.W.T


class Derived(Named):
    grads = property(lambda self: [self.dW], lambda self, value: None)


@pytest.mark.parametrize("kind", [Named, Derived])
def test_gradients_of_another_name_are_summed_in_every_step(kind):
    layer = kind()
    for k in (1, 2):
        stack = FunctionStack()
        x = stack.value(np.full((1, 2), float(k)))
        stack.backward((stack.push(layer, x), stack.push(layer, x)))
        np.testing.assert_array_equal(layer.grads[0], np.full((2, 2), 2 * k))
        for call in stack.calls:
            np.testing.assert_array_equal(call.dparams[0], np.full((2, 2), k))


def test_batch_norm_and_dropout_pushed_twice_move_one_state():
    norm, drop = BatchNorm.identity(3), Dropout(0.5, rng())
    other, plain = BatchNorm.identity(3), Dropout(0.5, rng())
    x = rng(1).normal(size=(5, 3))
    stack = FunctionStack()
    y = stack.push(drop, stack.push(norm, stack.push(drop, stack.push(norm, stack.value(x)))))
    expected = plain.forward(other.forward(plain.forward(other.forward(x))))
    np.testing.assert_array_equal(y.data, expected)
    np.testing.assert_array_equal(norm.running_mean, other.running_mean)


class Doubled(Graph):
    """A graph that pushes one layer twice: to be pushed twice itself."""

    part_names = ("layer",)

    def __init__(self, layer):
        self.layer = layer

    def connect(self, stack, x):
        return stack.push(self.layer, stack.push(self.layer, x))


def test_a_graph_pushed_twice():
    layer = MatMul(rng().normal(size=(2, 2)))
    net, x = Doubled(layer), rng(1).normal(size=(3, 2))
    plain = [MatMul(layer.W) for _ in range(4)]
    row = Sequential(*plain)
    stack = FunctionStack()
    given = stack.value(x)
    y = stack.push(net, stack.push(net, given))
    stack.backward(y)
    np.testing.assert_array_equal(row.forward(x), y.data)
    np.testing.assert_allclose(row.backward(np.ones((3, 2))), given.grad)
    np.testing.assert_allclose(layer.dW, sum(part.dW for part in plain))


def test_what_is_no_value_or_layer_is_told():
    stack = FunctionStack()
    x = stack.value(1.0)
    with pytest.raises(TypeError, match=r"got a float, expected a value: stack\.value"):
        stack.push(AddLayer(), x, 2.0)
    with pytest.raises(TypeError, match="got 3, expected an object with forward and backward"):
        stack.push(3, x)
    with pytest.raises(TypeError, match=r"got <class .*MulLayer.*expected an object"):
        stack.push(MulLayer, x)
    with pytest.raises(TypeError, match="got a str, expected a number"):
        stack.value("apple")
    with pytest.raises(ValueError, match="of another stack"):
        stack.backward(FunctionStack().value(1.0))
    with pytest.raises(ValueError, match=r"dout has shape \(2,\), expected \(\)"):
        stack.backward(x, np.ones(2))

    class Nothing(Layer):
        def forward(self, x):
            pass

    with pytest.raises(TypeError, match=re.escape("Nothing(): forward returned None")):
        stack.push(Nothing(), x)
    with pytest.raises(ValueError, match="shape") as raised:
        stack.push(Affine.random(3, 2, rng()), stack.value(np.ones((2, 4))))
    assert "in call 0 of the function stack: Affine" in raised.value.__notes__[-1]


def test_backward_that_returns_too_few_is_told():
    class Bad(AddLayer):
        def backward(self, dout):
            return (dout, dout, dout)

    stack = FunctionStack()
    y = stack.push(Bad(), stack.value(1.0), stack.value(2.0))
    with pytest.raises(ValueError, match="backward returned a tuple of 3, expected one gradient"):
        stack.backward(y)


def test_tuples_of_values_are_spread():
    stack = FunctionStack()
    pair = stack.push(Branch(2), stack.value(5.0))
    y = stack.push(AddLayer(), pair)
    stack.backward(y, 2.0)
    assert (y.data, stack.values[0].grad) == (10, 4)


def test_two_targets_and_a_loss_of_tuples():
    class Both(Layer):
        """A loss of two outputs."""

        def forward(self, y, t):
            self.parts = MSELoss(), MSELoss()
            pairs = zip(self.parts, y, t, strict=True)
            return sum(part.forward(a, b) for part, a, b in pairs)

        def backward(self, dout=1.0):
            return tuple(part.backward(dout) for part in self.parts)

    stack = FunctionStack()
    y = stack.value((np.ones((2, 1)), np.zeros((2, 1))))
    t = stack.value((np.zeros((2, 1)), np.zeros((2, 1))))
    stack.backward(stack.push(Both(), (y, t)))
    assert [v.grad is None for v in (*y, *t)] == [False, False, True, True]


def test_sigmoid_chain_by_the_formula():
    stack, sigmoid = FunctionStack(), Sigmoid()
    x = stack.value(np.array([0.3]))
    y = stack.push(sigmoid, stack.push(sigmoid, x))
    stack.backward(y)
    s = 1 / (1 + np.exp(-x.data))
    np.testing.assert_allclose(x.grad, y.data * (1 - y.data) * s * (1 - s))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_a_copied_stack_knows_the_layers_that_were_pushed(copied):
    stack, layer = FunctionStack(), Affine.random(3, 3, rng())
    y = stack.push(layer, stack.value(np.ones((2, 3))))
    there = copied((stack, layer, y))
    for s, same, value in ((stack, layer, y), there):
        s.backward(s.push(same, value), np.ones((2, 3)))
    np.testing.assert_array_equal(there[1].dW, layer.dW)


def test_values_have_no_operators():
    stack = FunctionStack()
    a = stack.value(np.ones(3))
    for operation in (
        lambda: a + a,
        lambda: 2 * a,
        lambda: np.ones((3, 3)) @ a,
        lambda: np.ones(3) - a,
        lambda: a / 2,
    ):
        with pytest.raises(TypeError, match=r"no operators: push a layer, such as stack"):
            operation()


@pytest.mark.parametrize("data", [np.array([3, 4]), np.int64(3), np.array([True, False])])
def test_integers_have_a_gradient_if_it_is_asked_for(data):
    stack = FunctionStack()
    x = stack.value(data)
    stack.backward(stack.push(MulLayer(), x, stack.value(data)))
    np.testing.assert_array_equal(x.grad, data)
