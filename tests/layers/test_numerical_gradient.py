"""The gradient by differences, on functions whose gradient is known."""

import numpy as np
import pytest

from chainrule.layers import Affine, CrossEntropyLoss, numerical_gradient


@pytest.mark.parametrize(("dtype", "atol"), [(np.float64, 1e-8), (np.float32, 1e-3)])
def test_cubes(dtype, atol):
    x = np.array([[0.5, -2.0, 3.0], [1.5, 0.25, -0.1]], dtype)
    grad = numerical_gradient(lambda x: (x.astype(np.float64) ** 3).sum(), x[:, ::-1])
    assert grad.dtype == dtype
    np.testing.assert_allclose(grad, 3 * x[:, ::-1] ** 2, rtol=1e-6, atol=atol)


def test_a_parameter_changed_in_place_is_put_back_bit_for_bit():
    rng = np.random.default_rng(0)
    layer, loss = Affine.random(4, 3, rng, dtype=np.float64), CrossEntropyLoss()
    x, t, before = rng.normal(size=(5, 4)), np.array([0, 1, 2, 1, 0]), layer.W.copy()
    grad = numerical_gradient(lambda _: loss.forward(layer.forward(x), t), layer.W)
    assert np.array_equal(layer.W, before)
    loss.forward(layer.forward(x), t)
    layer.backward(loss.backward())
    np.testing.assert_allclose(grad, layer.dW, atol=1e-10)


def test_a_function_that_raises_leaves_x_as_it_was():
    x = np.ones(3)

    def f(x):
        if x[1] != 1:
            raise RuntimeError
        return x.sum()

    with pytest.raises(RuntimeError):
        numerical_gradient(f, x)
    assert np.array_equal(x, np.ones(3))


def test_what_it_refuses():
    read_only = np.ones(2)
    read_only.flags.writeable = False
    for x, error, message in [
        (np.ones(2, int), TypeError, "x is an array of int64, expected an array of floats"),
        (3.0, TypeError, "x is 3.0, expected an array of floats"),
        (read_only, ValueError, r"x is read-only; give a copy, x.copy\(\)"),
    ]:
        with pytest.raises(error, match=message):
            numerical_gradient(np.sum, x)
    with pytest.raises(TypeError, match=r"f returned an array of shape \(2,\), expected a number"):
        numerical_gradient(np.sin, np.ones(2))
