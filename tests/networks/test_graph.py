"""Nets made over the function stack: laws, parts that are not reached, training, files."""

import timeit

import numpy as np
import pytest
from conformance import Loop, Siamese

from chainrule.layers import (
    AddLayer,
    Affine,
    Dropout,
    MatMul,
    MSELoss,
    ReLU,
    Tanh,
    layer_laws,
)
from chainrule.networks import (
    SGD,
    Adam,
    FunctionStack,
    Graph,
    Sequential,
    Trainer,
    draw,
    gradient_flow,
    value_and_grads,
)


def rng(seed=0):
    return np.random.default_rng(seed)


class Skips(Graph):
    """Skip connections over several layers."""

    part_names = ("layers",)

    def __init__(self, n, rng):
        self.layers = [Affine.random(3, 3, rng, dtype=np.float64) for _ in range(n)]

    def connect(self, stack, x):
        values = [x]
        for layer in self.layers:
            values.append(stack.push(AddLayer(), stack.push(layer, values[-1]), values[0]))
            values.append(stack.push(Tanh(), values[-1]))
        return stack.push(AddLayer(), values[-1], values[2])


def test_skip_connections_are_under_the_laws():
    layer_laws(lambda rng: Skips(3, rng), rng().normal(size=(4, 3)))


def test_shared_tower_with_dropout_is_under_the_laws():
    class Noisy(Siamese):
        def __init__(self, rng):
            self.tower = Sequential(Affine.random(3, 3, rng), Dropout(0.4, rng), ReLU())

    layer_laws(lambda rng: Noisy(rng), rng().normal(size=(4, 3)), rng(1).normal(size=(4, 3)))


def test_a_graph_within_graphs_and_rows_is_under_the_laws():
    class Outer(Graph):
        part_names = ("inner", "row")

        def __init__(self, rng):
            self.inner = Siamese(rng)
            self.row = Sequential(Skips(1, rng), Tanh())

        def connect(self, stack, x):
            a = stack.push(self.inner, x, stack.push(self.row, x))
            return stack.push(self.inner, a, stack.push(self.row, a))

    layer_laws(lambda rng: Outer(rng), rng().normal(size=(4, 3)))


class TwoWays(Graph):
    """Goes one way or the other."""

    part_names = ("ways",)
    way = "a"

    def __init__(self):
        self.ways = {"a": MatMul(np.eye(2)), "b": MatMul(2 * np.eye(2))}

    def connect(self, stack, x):
        return stack.push(self.ways[self.way], x)


def test_the_other_way_leaves_zeros_in_the_first():
    net, x = TwoWays(), np.ones((3, 2))
    net.backward(net.forward(x))
    assert net.ways["a"].dW.any()
    assert not net.ways["b"].dW.any()
    net.way = "b"
    net.backward(net.forward(x))
    assert net.ways["b"].dW.any()
    assert not net.ways["a"].dW.any()
    assert len(net.grads) == 2


class Idle(Graph):
    """Uses the first of its inputs."""

    part_names = ("layer", "idle")

    def __init__(self):
        self.layer, self.idle = MatMul(np.eye(2)), MatMul(np.eye(2))

    def connect(self, stack, x, unused, labels):
        stack.push(self.idle, unused[0])
        return stack.push(self.layer, x)


def test_inputs_that_nobody_used_get_zeros_and_integers_none():
    net, x = Idle(), np.ones((3, 2))
    net.forward(x, (x, 1.5), np.arange(3))
    dx, (dunused, dnumber), dlabels = net.backward(np.ones((3, 2)))
    assert dx.any()
    np.testing.assert_array_equal(dunused, np.zeros((3, 2)))
    assert dnumber == 0
    assert dlabels is None
    assert not net.idle.dW.any()


def test_backward_params_gives_the_same_gradients_without_the_inputs():
    class Chain(Graph):
        part_names = ("first", "second")

        def __init__(self):
            self.first, self.second = (Affine.random(3, 3, rng(), dtype=np.float64) for _ in "12")

        def connect(self, stack, x):
            return stack.push(self.second, stack.push(self.first, x))

    for net in (Chain(), Skips(2, rng())):
        dout = net.forward(rng(1).normal(size=(4, 3)))
        net.backward(dout)
        expected = [grad.copy() for grad in net.grads]
        net.backward(2 * dout)
        assert net.backward_params(dout) is None
        for a, b in zip(net.grads, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_graph_that_is_pushed_again_keeps_the_inner_calls_of_each_push():
    net = Siamese(rng())
    x = [rng(k).normal(size=(4, 3)) for k in range(3)]
    singles = []
    for k in (0, 1):
        net.forward(x[k], x[k + 1])
        singles.append((net.backward(1), [grad.copy() for grad in net.grads]))
    stack = FunctionStack()
    values = [stack.value(each) for each in x]
    ys = tuple(stack.push(net, values[k], values[k + 1]) for k in (0, 1))
    for _ in range(2):
        stack.backward(ys)
        np.testing.assert_allclose(values[1].grad, singles[0][0][1] + singles[1][0][0], rtol=1e-6)
        for grad, a, b in zip(net.grads, singles[0][1], singles[1][1], strict=True):
            np.testing.assert_allclose(grad, a + b, rtol=1e-5)
        for call, (_, grads) in zip(stack.calls, singles, strict=True):
            for grad, expected in zip(call.dparams, grads, strict=True):
                np.testing.assert_array_equal(grad, expected)


def test_a_layer_that_part_names_does_not_reach_is_told():
    class Forgets(Graph):
        def __init__(self, layer):
            self.layer = layer

        def connect(self, stack, x):
            return stack.push(self.layer, x)

    for layer in (MatMul(np.eye(2)), Dropout(0.5, np.random.default_rng(0)), ReLU()):
        for held in (layer, [layer], {"a": (layer,)}):
            with pytest.raises(TypeError, match=r"Forgets\(\): .*: part_names = \('layer',\)"):
                Forgets(held).forward(np.ones((1, 2)))

    class Makes(Graph):
        def __init__(self, make):
            self.make = make

        def connect(self, stack, x):
            return stack.push(self.make(), x)

    makes = [lambda: MatMul(np.eye(2)), lambda: Dropout(0.5, np.random.default_rng(0))]
    makes += [lambda: Sequential(ReLU(), Dropout(0.5, np.random.default_rng(0)))]
    for make in makes:
        with pytest.raises(ValueError, match="part_names does not reach"):
            Makes(make).forward(np.ones((1, 2)))
    assert Makes(ReLU).forward(2.0) == 2


@pytest.mark.parametrize("held", [np.eye(2), [np.eye(2)], {"W": (np.eye(2),)}])
def test_a_plain_class_that_does_not_say_what_is_trained_is_refused(held):
    class Plain:
        def __init__(self):
            self.W = held

        def forward(self, x):
            return x

        def backward(self, dout):
            return dout

    class Takes(Graph):
        part_names = ("p",)

        def __init__(self):
            self.p = Plain()

        def connect(self, stack, x):
            return stack.push(self.p, x)

    for run in (Takes().forward, Takes().predict):
        with pytest.raises(TypeError, match="it holds the arrays W, but has neither params"):
            run(np.ones((1, 2)))
    with pytest.raises(TypeError, match="it holds the arrays W, but has neither params"):
        Sequential(Plain())


def test_what_connect_must_return():
    class Raw(Graph):
        def connect(self, stack, x):
            return x.data

    with pytest.raises(TypeError, match="got a ndarray, expected a value"):
        Raw().forward(np.ones(2))
    with pytest.raises(NotImplementedError, match="Graph has no connect"):
        Graph().forward(1)


def test_a_tuple_for_two_inputs_is_explained():
    net, x = Siamese(rng()), rng().normal(size=(4, 3))
    for run in (net.predict, net.summary, lambda pair: draw(net, pair)):
        with pytest.raises(TypeError, match="missing 1 required positional argument") as caught:
            run((x, x))
        assert caught.value.__notes__ == [
            "in Siamese.connect",
            "connect got one input, a tuple; pass several as net.predict(a, b)",
        ]


def test_outputs_that_are_inputs_or_come_twice():
    class Through(Graph):
        def connect(self, stack, x):
            return x, x

    net = Through()
    assert net.forward(3.0) == (3.0, 3.0)
    assert net.backward((1.0, 2.0)) == 3.0


def data(inputs, n=40):
    """Return inputs of shape (n, 3), and a target that all of them decide."""
    x = tuple(rng(k).normal(size=(n, 3)) for k in range(5, 5 + inputs))
    return (x if inputs > 1 else x[0]), np.tanh(sum(x) @ np.ones((3, 3)))


@pytest.mark.parametrize(
    ("make", "inputs"),
    [
        (lambda: Skips(2, rng()), 1),
        (lambda: OneInput(rng()), 1),
        (lambda: Siamese(rng()), 2),
        (lambda: TwoInputs(rng()), 2),
    ],
)
def test_graphs_train_and_resume_bit_for_bit(make, inputs, tmp_path):
    (x, t), path = data(inputs), tmp_path / "training.npz"
    whole = Trainer(make(), MSELoss(), Adam(lr=0.01), rng=rng(1))
    history = whole.fit(x, t, epochs=6, batch_size=8, progress=False)
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    half = Trainer(make(), MSELoss(), Adam(lr=0.01), rng=rng(1))
    half.fit(x, t, epochs=3, batch_size=8, progress=False, checkpoint=path)
    again = Trainer.resume(path, make(), MSELoss(), Adam(lr=0.01), rng=rng(9))
    again.fit(x, t, epochs=6, batch_size=8, progress=False)
    for name, array in whole.net.state_dict().items():
        np.testing.assert_array_equal(array, again.net.state_dict()[name])
    np.testing.assert_array_equal(whole.predict(x), again.predict(x))


class OneInput(Graph):
    """A loop with one cell, and dropout, so that a resume must restore the Generator."""

    part_names = ("cell", "norm")

    def __init__(self, rng):
        self.cell = Sequential(Affine.random(3, 3, rng, dtype=np.float64), Tanh())
        self.norm = Dropout(0.2, rng)

    def connect(self, stack, x):
        h = x
        for _ in range(3):
            h = stack.push(AddLayer(), x, stack.push(self.cell, h))
        return stack.push(self.norm, h)


class TwoInputs(Loop):
    """A loop over three steps that takes its first state too, and has a moving mean and noise."""

    part_names = (*Loop.part_names, "noise", "out")

    def __init__(self, rng):
        super().__init__(rng)
        self.over, self.out = Affine.random(2, 2, rng), Affine.random(2, 3, rng)
        self.into, self.noise = MatMul.random(3, 2, rng), Dropout(0.1, rng)

    def connect(self, stack, x, h):
        h, _ = super().connect(stack, x, stack.push(self.into, h))
        return stack.push(self.out, stack.push(self.noise, h))


def test_saved_and_loaded(tmp_path):
    net, other = Loop(rng()), Loop(rng(1))
    x = rng(2).normal(size=(4, 3)), rng(3).normal(size=(4, 2))
    net.forward(*x)
    net.save(tmp_path / "net.npz")
    other.load(tmp_path / "net.npz")
    assert sorted(net.state_dict()) == [
        *("into.W", "norm.beta", "norm.gamma", "norm.running_mean", "norm.running_var"),
        *("over.W", "over.b"),
    ]
    np.testing.assert_array_equal(net.predict(*x)[0], other.predict(*x)[0])


def test_predict_changes_no_gradient_and_a_step_of_sgd_is_as_by_hand():
    net = TwoWays()
    x = np.array([[1.0, 2.0]])
    net.predict(x)
    net.backward(net.forward(x))
    SGD(lr=0.1).step(net.params, net.grads)
    np.testing.assert_allclose(net.ways["a"].W, np.eye(2) - 0.1 * x.T @ x)


def test_the_flow_through_a_tower_that_is_used_twice_is_that_of_both_uses():
    net, x = Siamese(rng()), (rng(1).normal(size=(4, 3)), rng(2).normal(size=(4, 3)))
    t = rng(3).normal(size=(4, 3))
    rows = {row["place"]: row for row in gradient_flow(net, MSELoss(), x, t).rows}
    value_and_grads(net, MSELoss(), x, t)
    outputs = [call.ran[0].forward(*[v.data for v in call.inputs]) for call in net.stack.calls[:2]]
    np.testing.assert_allclose(rows["tower.0"]["output"], np.linalg.norm(outputs))
    first = net.tower[0]
    expected = np.linalg.norm([*first.dW.ravel(), *first.db])
    np.testing.assert_allclose(rows["tower.0"]["gradient"], expected)


def measure(n=200):
    """Time per call of a graph over that of the same Sequential, in microseconds."""
    layers = [ReLU() for _ in range(n)]

    class Row(Graph):
        part_names = ("layers",)

        def __init__(self):
            self.layers = layers

        def connect(self, stack, x):
            for layer in self.layers:
                x = stack.push(layer, x)
            return x

    x = np.ones((2, 2))

    def step(net):
        net.forward(x)
        net.backward(x)

    nets, times = (Row(), Sequential(*layers)), ([], [])
    for _ in range(300):  # in turn, so that both meet the same load
        for net, each in zip(nets, times, strict=True):
            each.append(timeit.timeit(lambda net=net: step(net), number=1) / n * 1e6)
    return min(times[0]) - min(times[1])


if __name__ == "__main__":
    print(f"{measure():.2f} us per call")
