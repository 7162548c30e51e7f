import numpy as np
import pytest

from chainrule.layers import BatchNorm, GroupNorm, LayerNorm, check_gradients


def draw(*shape, offset=0.0):
    rng = np.random.default_rng(5)
    return 3 * rng.normal(size=shape) + offset


def make(layer, shape, **kwargs):
    rng = np.random.default_rng(1)
    return layer(rng.normal(size=shape), rng.normal(size=shape), **kwargs)


def standardized(x, eps=1e-5):
    return (x - x.mean()) / np.sqrt(x.var() + eps)


def test_batch_norm_channel_by_channel():
    x, layer = draw(5, 3, 4, 2, offset=7), make(BatchNorm, 3)
    y = layer.forward(x)
    for c in range(3):
        expected = layer.gamma[c] * standardized(x[:, c]) + layer.beta[c]
        np.testing.assert_allclose(y[:, c], expected, rtol=1e-10, atol=1e-10)


def test_a_column_is_an_image_of_one_pixel():
    x = draw(6, 3)
    y = make(BatchNorm, 3).forward(x)
    np.testing.assert_allclose(y, make(BatchNorm, 3).forward(x[:, :, None, None])[:, :, 0, 0])


def test_running_averages_follow_the_batches():
    layer, batches = make(BatchNorm, 3, momentum=0.25), draw(2, 7, 3, 4, 5, offset=2)
    mean, var = np.zeros(3), np.ones(3)
    for x in batches:
        layer.forward(x)
        mean = 0.75 * mean + 0.25 * x.mean(axis=(0, 2, 3))
        var = 0.75 * var + 0.25 * x.var(axis=(0, 2, 3), ddof=1)
    np.testing.assert_allclose(layer.running_mean, mean)
    np.testing.assert_allclose(layer.running_var, var)
    assert sorted(layer.state_dict()) == ["beta", "gamma", "running_mean", "running_var"]


def test_evaluation_takes_the_running_averages_as_constants():
    layer, x, dout = make(BatchNorm, 3), draw(5, 3, 4, 2), draw(5, 3, 4, 2)[::-1]
    layer.running_mean[...] = [1, 2, 3]
    layer.running_var[...] = [4, 0.25, 1]
    before = layer.state_dict()
    layer.eval()
    y, dx = layer.forward(x), layer.backward(dout)
    for c, (mean, var) in enumerate([(1, 4), (2, 0.25), (3, 1)]):
        xhat = (x[:, c] - mean) / np.sqrt(var + 1e-5)
        np.testing.assert_allclose(y[:, c], layer.gamma[c] * xhat + layer.beta[c])
        np.testing.assert_allclose(dx[:, c], layer.gamma[c] * dout[:, c] / np.sqrt(var + 1e-5))
        np.testing.assert_allclose(layer.dgamma[c], (dout[:, c] * xhat).sum())
        np.testing.assert_allclose(layer.dbeta[c], dout[:, c].sum())
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    check_gradients(layer, x)


def test_backward_is_that_of_the_mode_of_the_forward():
    layer, x, dout = make(BatchNorm, 3), draw(5, 3), draw(5, 3)[::-1]
    layer.forward(x)
    expected = layer.backward(dout)
    layer.eval()
    np.testing.assert_array_equal(layer.backward(dout), expected)


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1), (0, 3)])
def test_one_value_to_a_channel_has_no_variance(shape):
    layer = make(BatchNorm, 3)
    before = layer.state_dict()
    with pytest.raises(ValueError, match=r"BatchNorm\(3\): x has shape .* at least 2 in training"):
        layer.forward(np.ones(shape))
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    layer.eval()
    assert layer.forward(np.ones(shape)).shape == shape


def test_a_large_mean_does_not_spoil_the_variance():
    x = draw(64, 2, 8, 8, offset=1e4).astype(np.float32)
    y = BatchNorm.identity(2).forward(x)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.std(axis=(0, 2, 3)), 1, rtol=1e-3)


def test_a_million_float32_values_sum_up_exactly_enough():
    x = draw(250, 4, 64, 64, offset=1).astype(np.float32)
    layer = BatchNorm(np.ones(4, np.float32), np.zeros(4, np.float32), momentum=1)
    layer.forward(x)
    expected = x.var(axis=(0, 2, 3), dtype=np.float64)
    np.testing.assert_allclose(layer.running_var, expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(5, 3, 4), (5, 3, 2, 2, 2), (5, 3, 2, 1, 2, 2)])
@pytest.mark.parametrize(
    "layer", [lambda: make(BatchNorm, 3), lambda: make(GroupNorm, 3, groups=3)]
)
def test_any_number_of_pixel_axes(layer, shape):
    x = draw(*shape)
    flat = x.reshape(5, 3, -1, 1)
    a, b = layer(), layer()
    np.testing.assert_allclose(a.forward(x).reshape(flat.shape), b.forward(flat))
    np.testing.assert_allclose(a.backward(x).reshape(flat.shape), b.backward(flat))
    np.testing.assert_allclose(a.dgamma, b.dgamma)


@pytest.mark.parametrize("shape", [(6,), (3, 6), (2, 3, 6)])
def test_layer_norm_sample_by_sample(shape):
    x, layer = draw(4, 2, 3, 6), make(LayerNorm, shape)
    y = layer.forward(x)
    lead = x.shape[: x.ndim - len(shape)]
    for sample in np.ndindex(lead):
        expected = layer.gamma * standardized(x[sample]) + layer.beta
        np.testing.assert_allclose(y[sample], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("size", [(), (4, 5)])
def test_group_norm_group_by_group(groups, size):
    x, layer = draw(3, 6, *size), make(GroupNorm, 6, groups=groups)
    y = layer.forward(x)
    k = 6 // groups
    for n in range(3):
        xhat = np.concatenate([standardized(x[n, i : i + k]) for i in range(0, 6, k)])
        for c in range(6):
            expected = layer.gamma[c] * xhat[c] + layer.beta[c]
            np.testing.assert_allclose(y[n, c], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", [(4, 6), (3, 6, 4, 5)])
@pytest.mark.parametrize(
    "layer",
    [
        lambda _: make(BatchNorm, 6),
        lambda shape: make(LayerNorm, shape[1:]),
        lambda _: make(GroupNorm, 6, groups=2),
    ],
)
def test_gradients(layer, shape):
    check_gradients(layer(shape), draw(*shape, offset=1))


def test_identity_starts_with_gamma_one_and_beta_zero():
    for layer in (BatchNorm.identity(4), LayerNorm.identity(4), GroupNorm.identity(4, 2)):
        np.testing.assert_array_equal(layer.gamma, np.ones(4))
        np.testing.assert_array_equal(layer.beta, np.zeros(4))
        assert layer.gamma.dtype == layer.beta.dtype == np.float32
    assert LayerNorm.identity(2, 3, dtype=np.float64).gamma.shape == (2, 3)


def test_repr():
    assert repr(BatchNorm.identity(4)) == "BatchNorm(4)"
    assert repr(LayerNorm.identity(2, 3)) == "LayerNorm(2, 3)"
    assert repr(GroupNorm.identity(4, 2)) == "GroupNorm(4, groups=2)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BatchNorm(np.ones(3), np.ones(4)), r"gamma has shape \(3,\) and beta \(4,\)"),
        (lambda: BatchNorm(1.0, 0.0), r"gamma has shape \(\)"),
        (lambda: BatchNorm(np.ones((2, 3)), np.ones((2, 3))), r"\(2, 3\), expected \(C,\)"),
        (lambda: BatchNorm(np.ones(3), np.ones(3), eps=0), "eps is 0, expected a positive number"),
        (lambda: BatchNorm(np.ones(3), np.ones(3), momentum=2), "momentum is 2"),
        (lambda: GroupNorm(np.ones(4), np.ones(4), 3), "groups is 3, expected a divisor of the 4"),
        (lambda: GroupNorm(np.ones(4), np.ones(4), 2.0), "groups is 2.0, expected an integer"),
        (
            lambda: BatchNorm.identity(3).forward(np.ones((2, 4))),
            r"BatchNorm\(3\): x has shape \(2, 4\), expected \(N, 3\) or \(N, 3, H, W\)",
        ),
        (
            lambda: LayerNorm.identity(3).forward(np.ones((2, 4))),
            r"LayerNorm\(3\): x has shape \(2, 4\), expected \(N, 3\)",
        ),
        (
            lambda: GroupNorm.identity(4, 2).forward(np.ones((2, 3, 4, 4))),
            r"GroupNorm\(4, groups=2\): x has shape \(2, 3, 4, 4\), expected \(N, 4\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_training_forward_that_fails_leaves_what_backward_needs():
    rng = np.random.default_rng(0)
    layer, x, dout = BatchNorm.identity(3), rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    layer.eval()
    layer.forward(x)
    dx = layer.backward(dout)
    layer.train()
    with pytest.raises(ValueError, match="1 value per channel"):
        layer.forward(x[:1])
    np.testing.assert_array_equal(layer.backward(dout), dx)
