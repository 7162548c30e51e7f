from collections import namedtuple

import numpy as np
import pytest
from scipy import special

from chainrule.layers import (
    BinaryCrossEntropyLoss,
    CrossEntropyLoss,
    HuberLoss,
    MAELoss,
    MSELoss,
    SumLoss,
)


def slow_cross_entropy(y, t):
    total = 0.0
    for row, label in zip(y, t, strict=True):
        total -= np.log(np.exp(row[label]) / sum(np.exp(v) for v in row))
    return total


def test_worked_numbers():
    y, t = np.array([[1.0, 4.0], [3.0, 0.5]]), np.array([[0.0, 2.0], [3.0, 0.0]])
    # errors 1, 2, 0, 0.5
    assert MSELoss().forward(y, t) == (1 + 4 + 0.25) / 4
    assert MSELoss("sum").forward(y, t) == 5.25
    assert MAELoss().forward(y, t) == 3.5 / 4
    assert HuberLoss(1.0, "sum").forward(y, t) == 0.5 + 1.5 + 0.125
    assert HuberLoss(0.5, "sum").forward(y, t) == 0.5 * 0.75 + 0.5 * 1.75 + 0.125


def test_gradients_by_hand():
    y, t = np.array([[1.0, 4.0], [3.0, 0.5]]), np.array([[0.0, 2.0], [3.0, 1.0]])
    cases = {
        MSELoss("sum"): [[2, 4], [0, -1]],
        MSELoss(): [[0.5, 1], [0, -0.25]],
        MAELoss("sum"): [[1, 1], [0, -1]],
        HuberLoss(1.5, "sum"): [[1, 1.5], [0, -0.5]],
    }
    for loss, dy in cases.items():
        loss.forward(y, t)
        np.testing.assert_array_equal(loss.backward(), dy)
        np.testing.assert_array_equal(loss.backward(-2.0), -2.0 * np.array(dy))


def test_cross_entropy_against_the_slow_formula():
    rng = np.random.default_rng(0)
    y, t = rng.normal(size=(7, 4)), rng.integers(0, 4, 7)
    np.testing.assert_allclose(CrossEntropyLoss("sum").forward(y, t), slow_cross_entropy(y, t))
    np.testing.assert_allclose(CrossEntropyLoss().forward(y, t), slow_cross_entropy(y, t) / 7)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_labels_and_their_one_hot_rows_agree(reduction):
    rng = np.random.default_rng(0)
    y, t = rng.normal(size=(2, 5, 4)), rng.integers(0, 4, (2, 5))
    by_label, by_row = CrossEntropyLoss(reduction), CrossEntropyLoss(reduction)
    np.testing.assert_allclose(by_label.forward(y, t), by_row.forward(y, np.eye(4)[t]))
    np.testing.assert_allclose(by_label.backward(0.3), by_row.backward(0.3), atol=1e-16)


def test_cross_entropy_of_fortran_ordered_logits():
    y, t = np.random.default_rng(0).normal(size=(5, 2, 4)), np.ones((5, 2), np.int8)
    plain, transposed = CrossEntropyLoss(), CrossEntropyLoss()
    assert plain.forward(y, t) == transposed.forward(np.asfortranarray(y), t)
    np.testing.assert_array_equal(plain.backward(), transposed.backward())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_logits_stay_finite(dtype):
    y = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]], dtype)
    loss = CrossEntropyLoss("sum")
    np.testing.assert_allclose(loss.forward(y, [1, 1]), 2e4 + np.log(2), rtol=1e-6)
    np.testing.assert_allclose(loss.backward(), [[1, -1, 0], [0, -0.5, 0.5]])
    binary = BinaryCrossEntropyLoss("sum")
    np.testing.assert_allclose(binary.forward(y, np.zeros_like(y)), 3e4 + np.log(2), rtol=1e-6)
    np.testing.assert_array_equal(binary.backward(), [[1, 0, 0.5], [0, 1, 1]])


def test_binary_cross_entropy_against_scipy():
    rng = np.random.default_rng(0)
    y, t = rng.normal(size=(6, 2)) * 5, rng.random((6, 2))
    p = special.expit(y)
    loss = BinaryCrossEntropyLoss()
    expected = -(special.xlogy(t, p) + special.xlogy(1 - t, 1 - p)).mean()
    np.testing.assert_allclose(loss.forward(y, t), expected)
    np.testing.assert_allclose(loss.backward(), (p - t) / 12)


@pytest.mark.parametrize("loss", [MSELoss(), MAELoss(), HuberLoss(), BinaryCrossEntropyLoss()])
def test_a_column_is_no_row(loss):
    with pytest.raises(ValueError, match=r"t has shape \(4,\), expected \(4, 1\), that of y"):
        loss.forward(np.zeros((4, 1)), np.zeros(4))


@pytest.mark.parametrize(
    ("t", "error", "message"),
    [
        ([0, 3], ValueError, r"label t\[1\] is 3, expected 0 to 2"),
        ([-1, 0], ValueError, r"label t\[0\] is -1, expected 0 to 2"),
        ([0.0, 1.0], TypeError, "labels t are of dtype float64, expected integers"),
        (
            [0, 1, 2],
            ValueError,
            r"t has shape \(3,\), expected labels \(2,\) or distributions \(2, 3\)",
        ),
        (
            [[0, 0, 2], [1, 0, 0]],
            ValueError,
            r"rows of t are not probability distributions .* from 1 to 2",
        ),
        ([[1.5, -0.5, 0], [1, 0, 0]], ValueError, "minimum -0.5"),
        ([[np.nan, 0, 0], [1, 0, 0]], ValueError, "minimum nan"),
    ],
)
def test_bad_targets_of_cross_entropy(t, error, message):
    with pytest.raises(error, match=message):
        CrossEntropyLoss().forward(np.zeros((2, 3)), t)


def test_float32_stays_float32_with_targets_of_any_kind():
    y = np.zeros((2, 3), np.float32)
    for loss, t in [(MSELoss(), np.ones((2, 3), int)), (CrossEntropyLoss(), np.eye(3)[:2])]:
        assert isinstance(loss.forward(y, t), float)
        assert loss.backward().dtype == np.float32


def test_other_mistakes():
    with pytest.raises(ValueError, match="reduction is 'none', expected 'mean' or 'sum'"):
        MSELoss("none")
    with pytest.raises(ValueError, match="the batch is empty"):
        MSELoss().forward(np.zeros((0, 3)), np.zeros((0, 3)))
    with pytest.raises(ValueError, match=r"t lies in \[0.0, 2.0\], expected \[0, 1\]"):
        BinaryCrossEntropyLoss().forward([[0.0, 1.0]], [[0.0, 2.0]])
    loss = MSELoss()
    loss.forward([1.0], [2.0])
    with pytest.raises(ValueError, match=r"dout has shape \(2,\), expected a number"):
        loss.backward(np.ones(2))


def test_binary_cross_entropy_of_a_sure_and_right_prediction_does_not_cancel():
    y = np.array([30.0, -30.0], np.float32)
    loss = BinaryCrossEntropyLoss("sum").forward(y, np.array([1.0, 0.0], np.float32))
    assert loss == pytest.approx(2 * np.log1p(np.exp(-30.0)), rel=1e-6)


def test_a_masked_logit_takes_no_part_in_the_loss():
    y, loss = np.array([[0.0, -np.inf, 1.0]]), CrossEntropyLoss()
    of_label = loss.forward(y, np.array([0]))
    assert loss.forward(y, np.array([[1.0, 0.0, 0.0]])) == pytest.approx(of_label)
    assert loss.backward() == pytest.approx(
        np.exp([[0.0, -np.inf, 1.0]]) / (1 + np.e) - [[1, 0, 0]]
    )


def test_a_refused_target_leaves_the_loss_as_it_was():
    loss = CrossEntropyLoss()
    loss.forward(np.zeros((2, 3)), np.array([0, 1]))
    before = loss.backward()
    with pytest.raises(ValueError, match="label"):
        loss.forward(np.eye(3)[:2], np.array([0, 9]))
    assert np.array_equal(loss.backward(), before)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"ignore_index": [0, 1]},
            TypeError,
            r"CrossEntropyLoss: ignore_index is \[0, 1\]",
        ),
        ({"ignore_index": "0"}, TypeError, "ignore_index is '0', expected an integer"),
        ({"ignore_index": 1.5}, TypeError, "ignore_index is 1.5, expected an integer"),
        ({"class_weights": np.ma.masked_equal([1.0, 2.0, 9.0], 9)}, TypeError, "masked array"),
        (
            {"class_weights": [1, 1j, 0]},
            TypeError,
            r"Loss\(.*: class_weights is of dtype",
        ),
        ({"class_weights": [1, np.inf, 0]}, ValueError, "CrossEntropyLoss: class_weights is"),
        ({"class_weights": [1, -1, 0]}, ValueError, "expected one number of at least 0"),
    ],
)
def test_bad_options_of_cross_entropy(options, error, message):
    with pytest.raises(error, match=message):
        CrossEntropyLoss(**options)


def test_an_ignored_label_may_be_of_numpy():
    assert repr(CrossEntropyLoss(ignore_index=np.int64(2))).endswith("ignore_index=2)")


@pytest.mark.parametrize("losses", [(MSELoss,), ([MSELoss()],), (MSELoss(), "mse")])
def test_only_losses_are_added(losses):
    with pytest.raises(TypeError, match="SumLoss: a loss is"):
        SumLoss(*losses)


def test_as_many_losses_as_outputs():
    y = np.ones((2, 3)), np.ones((2, 1))
    with pytest.raises(ValueError, match="y is a tuple of 2, expected a tuple of 3"):
        SumLoss(MSELoss(), MAELoss(), HuberLoss()).forward(y, y)
    named = namedtuple("Heads", "score size")(*y)
    for loss, outputs in [(MSELoss(), y), (CrossEntropyLoss(), y), (MSELoss(), named)]:
        with pytest.raises(TypeError, match="y is a tuple of 2, expected one array; SumLoss takes"):
            loss.forward(outputs, outputs)
