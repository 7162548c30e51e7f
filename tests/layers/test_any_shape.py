"""Hypothesis generates shapes, scales and broadcasting pairs; a slow loop is the reference."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

from chainrule.layers import (
    AddLayer,
    Affine,
    BinaryCrossEntropyLoss,
    CrossEntropyLoss,
    HuberLoss,
    MAELoss,
    MatMul,
    MSELoss,
    MulLayer,
    ReLU,
    Repeat,
    Sigmoid,
    Softmax,
    Softplus,
    Sum,
    Tanh,
    check_gradients,
)

quick = settings(derandomize=True, deadline=None, max_examples=40, database=None)
seeds = st.integers(0, 2**32 - 1)
scales = st.floats(-8, 8).map(lambda power: 10.0**power)
pairs = mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=4)


def draw(seed, scale, *shape):
    return scale * np.random.default_rng(seed).normal(size=shape)


def slowly(f, x, y, dout):
    """Return what x and y give and get, one number of the output after the other."""
    out, dx, dy = np.empty(dout.shape), np.zeros(x.shape), np.zeros(y.shape)
    at_x, at_y = (np.broadcast_to(np.arange(a.size).reshape(a.shape), dout.shape) for a in (x, y))
    for i in np.ndindex(dout.shape):
        j, k = at_x[i], at_y[i]
        out[i], to_x, to_y = f(x.flat[j], y.flat[k])
        dx.flat[j] += dout[i] * to_x
        dy.flat[k] += dout[i] * to_y
    return out, dx, dy


@quick
@given(pairs, seeds, scales, scales)
def test_any_two_shapes_that_broadcast(shapes, seed, a, b):
    x, y = draw([seed, 0], a, *shapes.input_shapes[0]), draw([seed, 1], b, *shapes.input_shapes[1])
    dout = draw([seed, 2], 1.0, *shapes.result_shape)
    for layer, f in (
        (MulLayer(), lambda x, y: (x * y, y, x)),
        (AddLayer(), lambda x, y: (x + y, 1.0, 1.0)),
    ):
        out, dx, dy = slowly(f, x, y, dout)
        np.testing.assert_allclose(layer.forward(x, y), out, rtol=1e-14)
        for gradient, expected in zip(layer.backward(dout), (dx, dy), strict=True):
            assert np.shape(gradient) == expected.shape
            slack = 1e-13 * np.abs(dout).sum() * max(a, b, 1.0)
            np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=slack)
        check_gradients(layer, x, y)


@quick
@given(array_shapes(max_dims=4, max_side=4), seeds, scales, st.data())
def test_repeat_and_sum_over_any_axis(shape, seed, scale, data):
    x = draw(seed, scale, *shape)
    n, axis = data.draw(st.integers(1, 4)), data.draw(st.integers(-x.ndim - 1, x.ndim))
    repeat = Repeat(n, axis)
    np.testing.assert_array_equal(repeat.forward(x), np.stack([x] * n, axis))
    check_gradients(repeat, x)
    axes = data.draw(
        st.none() | st.sets(st.integers(0, x.ndim - 1)).map(lambda s: tuple(sorted(s)))
    )
    np.testing.assert_allclose(Sum(axes).forward(x), np.sum(x, axis=axes))
    check_gradients(Sum(axes), x)


@quick
@given(array_shapes(max_dims=3, max_side=4), seeds, scales)
def test_activations_of_any_shape_and_scale(shape, seed, scale):
    for layer in (Sigmoid(), Tanh(), ReLU(), Softplus(), Softmax()):
        check_gradients(layer, draw(seed, scale, *shape))


@quick
@given(array_shapes(max_dims=2, max_side=4), st.integers(1, 5), seeds, scales, scales)
def test_weights_of_any_shape_and_scale(lead, outputs, seed, a, b):
    *_, inputs = shape = (*lead, 3)
    W, bias = draw([seed, 1], b, inputs, outputs), draw([seed, 2], b, outputs)
    check_gradients(MatMul(W), draw([seed, 0], a, *shape))
    check_gradients(Affine(W, bias), draw([seed, 0], a, *shape))


@quick
@given(
    array_shapes(min_dims=2, max_dims=3, max_side=4),
    seeds,
    scales,
    st.sampled_from(["mean", "sum"]),
)
def test_losses_of_any_shape_and_scale(shape, seed, scale, reduction):
    y, t = draw([seed, 0], scale, *shape), draw([seed, 1], scale, *shape)
    for loss in (MSELoss, MAELoss, HuberLoss):
        check_gradients(loss(reduction=reduction), y, t)
    labels = np.random.default_rng(seed).integers(shape[-1], size=shape[:-1])
    check_gradients(CrossEntropyLoss(reduction=reduction), y, labels)
    check_gradients(BinaryCrossEntropyLoss(reduction=reduction), y, 1 / (1 + np.exp(-t / scale)))
