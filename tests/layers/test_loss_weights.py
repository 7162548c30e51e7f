"""A weight of 2 is a row given twice, and of 0 one left out: in every loss, to 1e-12."""

import numpy as np
import pytest
from conformance import LOSSES, labels, make, spell, x

from chainrule.layers import CrossEntropyLoss, Layer, MAELoss, MSELoss, SumLoss
from chainrule.layers.nested import leaves, map_leaves
from chainrule.networks import SGD, Trainer

NESTED = (
    lambda: SumLoss(SumLoss(MSELoss(), MAELoss()), CrossEntropyLoss(ignore_index=1)),
    ((x(4, 3), x(4)), x(4, 3)),
    ((x(4, 3)[::-1], x(4)[::-1]), labels(4)),
)
ROWS = [pytest.param(f, y, t, id=f"{make(f)!r:.60} {spell(y)}") for f, y, t in [*LOSSES, NESTED]]
every_loss = pytest.mark.parametrize(("factory", "y", "t"), ROWS)
some_weights = pytest.mark.parametrize("weights", [[2, 0, 1, 3], [0, 0, 2, 1], [1, 1, 1, 1]])


class Echo(Layer):
    """A net that returns what it is given; ``b`` is there to be trained."""

    param_names = ("b",)

    def __init__(self):
        self.b = np.zeros(1)

    def forward(self, *y):
        return y if len(y) > 1 else y[0]


def double(value):
    """Return floats as float64, in which 1e-12 can be seen."""
    return map_leaves(lambda a: a.astype(float) if a.dtype.kind == "f" else a, value)


def take(value, rows):
    return map_leaves(lambda a: a[rows], value)


def assert_same(found, expected):
    for (_, a), (_, b) in zip(leaves(found), leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * np.abs(b).max())


def repeated(weights, rows):
    return np.repeat(np.arange(rows), weights[-rows:])


@every_loss
@some_weights
def test_values_and_gradients(factory, y, t, weights):
    loss, y, t = make(factory), double(y), double(t)
    rows = len(next(leaves(y))[1])
    again = repeated(weights, rows)
    expected = loss.forward(take(y, again), take(t, again))
    summed = map_leaves(np.zeros_like, y)
    for (_, total), (_, part) in zip(leaves(summed), leaves(loss.backward(0.3)), strict=True):
        np.add.at(total, again, part)
    w = np.array(weights[-rows:], float)
    assert loss.forward(y, t, w) == pytest.approx(expected, rel=1e-12)
    assert_same(loss.backward(0.3), summed)


@every_loss
@some_weights
@pytest.mark.parametrize("size", [2, 3])  # of 3, the last batch is smaller
def test_evaluation_in_batches(factory, y, t, weights, size):
    loss, y, t = make(factory), double(y), double(t)
    rows = len(next(leaves(y))[1])
    again = repeated(weights, rows)
    expected = loss.forward(take(y, again), take(t, again))
    trainer = Trainer(Echo(), loss, SGD(), np.random.default_rng(0))
    w = np.array(weights[-rows:], float)
    found = trainer.evaluate(y, t, weights=w, batch_size=size, metrics=[])["loss"]
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("factory", "y", "t"), ROWS[:-1])  # parts that are over the same rows
@pytest.mark.parametrize("size", [2, 3])
def test_gradients_of_batches_add_up(factory, y, t, size):
    """``sum of dy * total over the batches / sum of total`` is the gradient of all rows at once."""
    loss, y, t = make(factory), double(y), double(t)
    w = np.array([2.0, 0.0, 1.0, 3.0])[-len(next(leaves(y))[1]) :]
    loss.forward(y, t, w)
    whole, total, summed = loss.backward(), loss.total, map_leaves(np.zeros_like, y)
    for start in range(0, len(w), size):
        rows = np.arange(len(w))[start : start + size]
        loss.forward(take(y, rows), take(t, rows), w[rows])
        for (_, all_rows), (_, part) in zip(leaves(summed), leaves(loss.backward()), strict=True):
            all_rows[rows] = part * loss.total / total
    assert_same(summed, whole)


@pytest.mark.parametrize("options", [{}, {"ignore_index": 1}, {"class_weights": [1, 2, 3]}])
@pytest.mark.parametrize("weights", [5.0, [1.0, 2.0], [1.0, -1.0, 1.0, 1.0], [1, 1, 1, np.inf]])
def test_bad_weights_are_refused_beside_those_of_the_classes(options, weights):
    with pytest.raises(ValueError, match=r"CrossEntropyLoss\(.*: weights (have shape|are from)"):
        CrossEntropyLoss("sum", **options).forward(x(4, 3), labels(4), weights)
