"""A loss that is not finite: the error names the step and what was NaN or infinite first."""

import threading

import numpy as np
import pytest

from chainrule.layers import (
    AddLayer,
    Affine,
    BatchNorm,
    Dropout,
    Identity,
    Layer,
    MSELoss,
    ReLU,
    Tanh,
)
from chainrule.networks import SGD, Branch, Parallel, Sequential, Trainer


class Log(Layer):
    """``y = log(x)``;  ``dx = dout / x``."""

    def forward(self, x):
        self.x = x
        with np.errstate(all="ignore"):
            return np.log(x)

    def backward(self, dout):
        return dout / self.x


class Spoiling(Layer):
    """``y = x``;  ``dx = dout * factor``."""

    factor = 1.0

    def forward(self, x):
        return x

    def backward(self, dout):
        return dout * self.factor


def trainer(*layers):
    return Trainer(Sequential(*layers), MSELoss(), SGD(0.01), rng=np.random.default_rng(0))


def affine(rng, inputs=3, outputs=3):
    return Affine.random(inputs, outputs, rng, dtype=np.float64)


A = affine(np.random.default_rng(3))


def test_the_layer_in_which_it_first_appeared():
    rng = np.random.default_rng(1)
    ours = trainer(affine(rng), Tanh(), Log(), affine(rng))
    before = ours.net.state_dict()
    with pytest.raises(
        FloatingPointError,
        match=r"the loss is nan at step 1: it first appeared in layer 2, Log\(\): its output\[\d, ",
    ):
        ours.train_step(rng.normal(size=(4, 3)), np.zeros((4, 3)))
    for name, value in ours.net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert ours.steps == 0


def test_within_nested_networks():
    rng = np.random.default_rng(2)
    block = Sequential(Branch(2), Parallel(Sequential(ReLU(), Log()), Identity()), AddLayer())
    ours = trainer(affine(rng), block, Dropout(0.1, rng))
    with pytest.raises(FloatingPointError, match=r"layer 1\.1\.0\.1, Log\(\): its output"):
        ours.train_step(-np.ones((4, 3)), np.zeros((4, 3)))


def test_the_layers_are_as_before():
    rng = np.random.default_rng(3)
    norm, dropout = BatchNorm.identity(3, dtype=np.float64), Dropout(0.5, rng)
    ours = trainer(affine(rng), norm, dropout, Log())
    before, state = ours.net.state_dict(), rng.bit_generator.state
    with pytest.raises(FloatingPointError, match=r"in layer 3, Log\(\)"):
        ours.train_step(-np.eye(3), np.zeros((3, 3)))
    assert [type(layer) for layer in ours.net] == [Affine, BatchNorm, Dropout, Log]
    for name, array in ours.net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert rng.bit_generator.state == state


def test_the_same_mask_is_drawn_again():
    class Hidden(Dropout):
        """Infinite where an odd number of elements is dropped."""

        def forward(self, x):
            y = super().forward(x)
            return np.full_like(y, np.inf) if (self.mask == 0).sum() % 2 else y

    ours = trainer(A, Hidden(0.5, np.random.default_rng(0)))
    for _ in range(5):
        with pytest.raises(FloatingPointError, match="first appeared in layer 1"):  # noqa: PT012
            while True:
                ours.train_step(np.ones((4, 3)), np.zeros((4, 3)))
        ours.net[1].rng.random()  # else the same mask would come next


class Plain:
    """``y = x^2``, of no base class."""

    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, dout):
        return 2 * dout * self.x


class Nested(Layer):
    """``((x, log(y)), 1)``."""

    def forward(self, x, y):
        return (x, Log().forward(y)), 1


class Last(Layer):
    """``x - y`` of ``((x, y), 1)``."""

    def forward(self, pair, one):
        return pair[0] - pair[1]


class Around(Layer):
    """``out = block(x)``, a net in an attribute."""

    part_names = ("block",)

    def __init__(self, *layers):
        self.block = Sequential(*layers)

    def forward(self, x):
        return self.block.forward(x)


class Uncopied(ReLU):
    """Holds what cannot be copied."""

    def __init__(self):
        self.lock = threading.Lock()


@pytest.mark.parametrize(
    ("layers", "x", "message"),
    [
        ([A, Plain()], np.full((4, 3), 1e300), r"layer 1, .*Plain.*: its output\[0, 0\] is inf"),
        (
            [Parallel(A, Identity()), Nested(), Last()],
            (np.ones((4, 3)), -np.eye(4, 3)),
            r"layer 1, Nested\(\): its output\[0\]\[1\]\[0, 0\] is nan",
        ),
        (
            [Parallel(A, Identity()), AddLayer()],
            (np.ones((4, 3)), np.full((4, 3), np.inf)),
            r"batch itself is not finite: x\[1\]\[0, 0\] is inf",
        ),
        ([A, Around(Log())], -np.eye(4, 3) * 9, r"layer 1\.block\.0, Log\(\): its output"),
        ([A, Uncopied(), Log()], -np.eye(4, 3) * 9, "search for its origin failed: TypeError"),
    ],
    ids=["no base class", "nested outputs", "nested inputs", "a net in a layer", "uncopied"],
)
@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
def test_any_kind_of_layer(layers, x, message):
    ours = trainer(*layers)
    ours.loss = Finite()
    with pytest.raises(FloatingPointError, match=message):
        ours.train_step(x, np.zeros(1))


class Finite(MSELoss):
    """NaN or infinite where ``y`` is, whatever the shapes."""

    def forward(self, y, t):
        return float(np.sum(y))


@pytest.mark.filterwarnings("ignore:invalid value encountered in dot:RuntimeWarning")  # some BLAS
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_batch_itself(value):
    rng = np.random.default_rng(4)
    x, t = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    bad = x.copy()
    bad[2, 1] = value
    ours = trainer(affine(rng))
    ours.train_step(x, t)
    with pytest.raises(FloatingPointError, match=rf"at step 2: the batch .* x\[2, 1\] is {value}"):
        ours.train_step(bad, t)
    bad = t.copy()
    bad[3, 0] = value
    with pytest.raises(FloatingPointError, match=rf"the batch .* t\[3, 0\] is {value}"):
        ours.train_step(x, bad)


def test_a_batch_of_an_iterable_is_named():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(4, 3))
    batches = [(x, x), (x, x), (x * np.nan, x)]
    with pytest.raises(FloatingPointError, match=r"at step 3: the batch .* x\[0, 0\] is nan"):
        trainer(affine(rng)).fit(batches, epochs=1, progress=False)


def test_a_gradient_that_spoilt_the_parameters():
    rng = np.random.default_rng(6)
    ours = trainer(affine(rng), affine(rng), Spoiling(), affine(rng))
    x = rng.normal(size=(4, 3))
    ours.train_step(x, x)
    ours.net[2].factor = np.nan
    ours.train_step(x, x)
    with pytest.raises(
        FloatingPointError,
        match=r"at step 3: already before the step, W\[0, 0\] is nan in layer 1, Affine\(3 -> 3\)",
    ):
        ours.train_step(x, x)


def test_a_layer_of_no_base_class():
    class Scale:
        def __init__(self):
            self.params, self.grads = [np.array([np.inf])], [np.zeros(1)]

        def forward(self, x):
            return x * self.params[0]

        def backward(self, dout):
            return dout

    ours = trainer(Scale())
    with pytest.raises(FloatingPointError, match=r"params\.0\[0\] is inf in layer 0"):
        ours.train_step(np.ones((2, 3)), np.ones((2, 3)))


def test_the_loss_alone():
    class Infinite(MSELoss):
        def forward(self, y, t):
            return np.inf

    ours = trainer(affine(np.random.default_rng(7)))
    ours.loss = Infinite()
    with pytest.raises(FloatingPointError, match="it arose in the loss"):
        ours.train_step(np.ones((2, 3)), np.ones((2, 3)))


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
def test_a_net_of_one_layer():
    ours = Trainer(A, MSELoss(), SGD(), rng=np.random.default_rng(8))
    huge = np.full((1, 3), 1e308)
    with pytest.raises(FloatingPointError, match=r"it first appeared in Affine\(3 -> 3\): its out"):
        ours.train_step(huge, huge)
