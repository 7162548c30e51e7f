"""Clipping and penalties."""

import numpy as np
import pytest

from chainrule.networks import L1, L2, clip_gradients, clip_values


def test_gradients_keep_their_direction_and_get_the_norm():
    rng = np.random.default_rng(0)
    grads = [rng.normal(size=(3, 4)), rng.normal(size=4), np.array(2.0)]
    before = [g.copy() for g in grads]
    clipped = clip_gradients(grads, 0.5)
    norm = np.sqrt(sum(np.sum(g**2) for g in grads))
    assert np.sqrt(sum(np.sum(g**2) for g in clipped)) == pytest.approx(0.5)
    for g, c, b in zip(grads, clipped, before, strict=True):
        np.testing.assert_allclose(c, g * 0.5 / norm)
        np.testing.assert_array_equal(g, b)


def test_short_gradients_pass_as_they_are():
    grads = [np.array([3.0, 0.0]), np.array([[4.0]])]
    assert all(a is b for a, b in zip(clip_gradients(grads, 5.0), grads, strict=True))
    assert not any(a is b for a, b in zip(clip_gradients(grads, 4.99), grads, strict=True))


def test_squares_that_overflow_float32():
    grads = [np.array([3e30, 4e30], np.float32)]
    (clipped,) = clip_gradients(grads, 1.0)
    assert clipped.dtype == np.float32
    np.testing.assert_allclose(clipped, [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_named(value):
    grads = [np.ones(2), np.array([[1.0, 2.0], [3.0, value]])]
    with pytest.raises(FloatingPointError, match=rf"gradient 1 is {value} at \(1, 1\)"):
        clip_gradients(grads, 1.0)


def test_values():
    grads = [np.array([-3.0, 0.5]), np.array([[2.0]], np.float32)]
    clipped = clip_values(grads, 1.0)
    np.testing.assert_array_equal(clipped[0], [-1, 0.5])
    np.testing.assert_array_equal(clipped[1], [[1]])
    assert clipped[1].dtype == np.float32
    np.testing.assert_array_equal(grads[0], [-3, 0.5])


@pytest.mark.parametrize("limit", [0, -1, np.nan])
def test_limits_that_are_not_positive(limit):
    with pytest.raises(ValueError, match="max_norm"):
        clip_gradients([np.ones(1)], limit)
    with pytest.raises(ValueError, match="max_value"):
        clip_values([np.ones(1)], limit)


@pytest.mark.parametrize("number", [np.float64, np.array])
@pytest.mark.parametrize(
    "change",
    [
        lambda grads, number: clip_gradients(grads, number(0.5)),
        lambda grads, number: clip_values(grads, number(0.5)),
        lambda grads, number: L1(number(0.5)).add_to(grads, grads),
        lambda grads, number: L2(number(0.5)).add_to(grads, grads),
    ],
)
def test_numpy_numbers_leave_float32(change, number):
    (changed,) = change([np.ones((2, 3), np.float32)], number)
    assert changed.dtype == np.float32
    assert not np.array_equal(changed, np.ones((2, 3)))


@pytest.mark.parametrize("wrong", ["1", None, [1.0]])
@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda wrong: clip_gradients([np.ones(1)], wrong), "clip_gradients: max_norm"),
        (lambda wrong: clip_values([np.ones(1)], wrong), "clip_values: max_value"),
        (L1, "L1: strength"),
        (L2, "L2: strength"),
    ],
)
def test_what_is_no_number(call, what, wrong):
    with pytest.raises(TypeError) as caught:
        call(wrong)
    assert str(caught.value) == f"{what} is {wrong!r}, expected a number"


def test_penalties_by_hand():
    W, b = np.array([[1.0, -2.0], [0.0, 3.0]]), np.array([5.0])
    assert L2(0.1).value([W, b]) == pytest.approx(0.05 * 14)
    assert L1(0.1).value([W, b]) == pytest.approx(0.1 * 6)
    grads = [np.ones((2, 2)), np.ones(1)]
    with_l2, with_l1 = L2(0.1).add_to(grads, [W, b]), L1(0.1).add_to(grads, [W, b])
    np.testing.assert_allclose(with_l2[0], [[1.1, 0.8], [1.0, 1.3]])
    np.testing.assert_allclose(with_l1[0], [[1.1, 0.9], [1.0, 1.1]])
    assert with_l2[1] == with_l1[1] == [1]
    np.testing.assert_array_equal(grads[0], np.ones((2, 2)))


@pytest.mark.parametrize("penalty", [L1, L2])
@pytest.mark.parametrize("size", [0.5, 1e-4])
def test_penalties_of_float16_are_summed_in_float32(penalty, size):
    W = np.full((600, 600), size, np.float16)
    expected = penalty(1.0).value([W.astype(np.float64)])
    assert penalty(1.0).value([W]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("penalty", [L1(0.3), L2(0.3)])
def test_penalties_against_finite_differences(penalty):
    rng = np.random.default_rng(1)
    W, h = rng.normal(size=(3, 2)), 1e-6
    (gradient,) = penalty.add_to([np.zeros((3, 2))], [W])
    for place in np.ndindex(W.shape):
        up, down = W.copy(), W.copy()
        up[place] += h
        down[place] -= h
        slope = (penalty.value([up]) - penalty.value([down])) / (2 * h)
        assert gradient[place] == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize("penalty", [L1, L2])
@pytest.mark.parametrize("strength", [-1.0, np.nan, np.inf])
def test_strength_out_of_range(penalty, strength):
    with pytest.raises(ValueError, match=f"{penalty.__name__}: strength is {strength}"):
        penalty(strength)
