import numpy as np
import pytest

from chainrule.layers import AddLayer, Identity, MulLayer, Repeat, Sum


def test_numbers_stay_python_numbers():
    mul, add = MulLayer(), AddLayer()
    assert type(mul.forward(100, 2)) is int
    assert [type(d) for d in mul.backward(1)] == [int, int]
    assert type(add.forward(200, 450)) is int
    assert add.backward(1.1) == (1.1, 1.1)
    assert mul.forward(650, 1.1) == 715.0000000000001


@pytest.mark.parametrize(
    ("x_shape", "y_shape"),
    [((3,), ()), ((4, 3), (3,)), ((4, 1), (1, 3)), ((2, 1, 3), (5, 1)), ((1, 1), (4, 3))],
)
def test_broadcast_gradients_are_sums_over_the_copies(x_shape, y_shape):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=x_shape), rng.normal(size=y_shape)
    mul = MulLayer()
    dout = rng.normal(size=mul.forward(x, y).shape)
    dx, dy = mul.backward(dout)
    # The slow way: every element of the output sends its share to where it came from.
    slow_dx, slow_dy = np.zeros(x_shape), np.zeros(y_shape)
    where_x = np.broadcast_to(np.arange(x.size).reshape(x_shape), dout.shape)
    where_y = np.broadcast_to(np.arange(y.size).reshape(y_shape), dout.shape)
    for place in np.ndindex(dout.shape):
        slow_dx.flat[where_x[place]] += dout[place] * y.flat[where_y[place]]
        slow_dy.flat[where_y[place]] += dout[place] * x.flat[where_x[place]]
    assert dx.shape == x_shape
    assert dy.shape == y_shape
    np.testing.assert_allclose(dx, slow_dx, rtol=1e-12)
    np.testing.assert_allclose(dy, slow_dy, rtol=1e-12)


def test_a_number_beside_an_array_gets_one_gradient():
    add = AddLayer()
    np.testing.assert_array_equal(add.forward([[1.0, 2.0]], 3), [[4.0, 5.0]])
    dx, dy = add.backward(np.array([[10.0, 20.0]]))
    np.testing.assert_array_equal(dx, [[10.0, 20.0]])
    assert np.shape(dy) == ()
    assert dy == 30.0


def test_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(ValueError, match=r"MulLayer\(\): x has shape \(3,\) and y \(4,\)"):
        MulLayer().forward(np.ones(3), np.ones(4))


def test_identity_passes_tuples():
    assert Identity().forward(1, (2, 3)) == (1, (2, 3))
    assert Identity().backward((4, (5, 6))) == (4, (5, 6))


def test_repeat_and_sum_are_each_others_backward():
    x = np.arange(6.0).reshape(2, 3)
    for axis in (0, 1, 2, -1):
        repeat, total = Repeat(4, axis=axis), Sum(axis=axis)
        out = repeat.forward(x)
        assert out.ndim == 3
        np.testing.assert_array_equal(total.forward(out), 4 * x)
        np.testing.assert_array_equal(repeat.backward(out), total.forward(out))
        np.testing.assert_array_equal(total.backward(x), out)


@pytest.mark.parametrize("axis", [None, 0, (0, 2), -1])
def test_sum_spreads_its_gradient(axis):
    x = np.random.default_rng(1).normal(size=(2, 3, 4))
    layer = Sum(axis)
    out = layer.forward(x)
    np.testing.assert_allclose(out, x.sum(axis=axis))
    dout = np.random.default_rng(2).normal(size=np.shape(out))
    dx = layer.backward(dout)
    assert dx.shape == x.shape
    np.testing.assert_allclose((dx * x).sum(), (dout * out).sum())  # Sum is linear


def test_repeat_wants_a_copy_at_least():
    with pytest.raises(ValueError, match="Repeat: n is 0"):
        Repeat(0)


def test_a_number_beside_an_array_has_a_number_as_gradient():
    mul, add = MulLayer(), AddLayer()
    mul.forward(np.arange(3.0), 2)
    add.forward(1.5, np.arange(3.0))
    dx, dy = mul.backward(np.array([1.0, 10.0, 100.0]))
    assert dx.tolist() == [2, 20, 200]
    assert (type(dy), dy) == (float, 210)
    dx, dy = add.backward(np.ones(3))
    assert (type(dx), dx) == (float, 3)
    assert dy.tolist() == [1, 1, 1]
