import numpy as np
import pytest
from scipy import special, stats

from chainrule.layers import GELU, LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Tanh

GRID = np.concatenate([np.linspace(-30, 30, 601), [-1e-9, 1e-9]])

REFERENCES = [
    (Sigmoid(), special.expit, lambda x: special.expit(x) * special.expit(-x)),
    (Tanh(), np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    (ReLU(), lambda x: np.clip(x, 0, None), lambda x: np.where(x > 0, 1.0, 0.0)),
    (LeakyReLU(0.1), lambda x: np.where(x > 0, x, x / 10), lambda x: np.where(x > 0, 1.0, 0.1)),
    (GELU(), lambda x: x * stats.norm.cdf(x), lambda x: stats.norm.cdf(x) + x * stats.norm.pdf(x)),
    (Softplus(), lambda x: np.log1p(np.exp(x)), special.expit),
]


@pytest.mark.parametrize(
    ("layer", "f", "df"), REFERENCES, ids=[repr(layer) for layer, *_ in REFERENCES]
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_and_derivatives(layer, f, df, dtype):
    x = GRID.astype(dtype)
    dout = np.random.default_rng(0).normal(size=x.shape).astype(dtype)
    tolerance = (
        {"rtol": 2e-6, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-9, "atol": 1e-13}
    )
    y, dx = layer.forward(x), layer.backward(dout)
    assert y.dtype == dx.dtype == dtype
    np.testing.assert_allclose(y, f(x.astype(np.float64)), **tolerance)
    np.testing.assert_allclose(dx, dout * df(x.astype(np.float64)), **tolerance)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("layer", [layer for layer, _, _ in REFERENCES], ids=repr)
def test_no_float_overflows(layer, dtype):
    """Warnings are errors in these tests, so an overflow would raise."""
    info = np.finfo(dtype)
    x = np.array(
        [-info.max, -1e5, -709, -89, -info.tiny, 0, info.tiny, 89, 709, 1e5, info.max], dtype
    )
    assert np.isfinite(layer.forward(x)).all()
    assert np.isfinite(layer.backward(np.ones_like(x))).all()


def test_sigmoid_at_its_limits():
    np.testing.assert_array_equal(
        Sigmoid().forward([-np.inf, -1e300, 0, 1e300, np.inf]), [0, 0, 0.5, 1, 1]
    )


def test_relu_passes_nothing_back_at_the_kink():
    relu = ReLU()
    np.testing.assert_array_equal(
        relu.forward([[-np.inf, -1.0, -0.0, 0.0, 2.0]]), [[0, 0, 0, 0, 2]]
    )
    np.testing.assert_array_equal(relu.backward(np.full((1, 5), 3.0)), [[0, 0, 0, 0, 3]])


def test_nan_is_not_hidden():
    for layer, _, _ in REFERENCES:
        assert np.isnan(layer.forward(np.array([np.nan]))).all()


def test_softmax_against_scipy_and_its_whole_jacobian():
    rng = np.random.default_rng(0)
    x, dout = rng.normal(size=(4, 3, 5)) * 10, rng.normal(size=(4, 3, 5))
    layer = Softmax()
    y = layer.forward(x)
    np.testing.assert_allclose(y, special.softmax(x, axis=-1), rtol=1e-12)
    dx = layer.backward(dout)
    for row in np.ndindex(4, 3):
        jacobian = np.diag(y[row]) - np.outer(y[row], y[row])
        np.testing.assert_allclose(dx[row], jacobian @ dout[row], rtol=1e-9, atol=1e-15)
    np.testing.assert_array_equal(layer.forward([[1e300, 0.0, -1e300]]), [[1, 0, 0]])


def test_unsigned_integers_do_not_wrap():
    np.testing.assert_allclose(Sigmoid().forward(np.array([3], np.uint8)), special.expit(3))


def test_gelu_in_float32_is_near_the_exact_one():
    x = np.linspace(-12, 12, 200_001, dtype=np.float32)
    gelu, exact = GELU(), GELU()
    y, wanted = gelu.forward(x), exact.forward(x.astype(np.float64))
    assert y.dtype == gelu.Phi.dtype == np.float32
    assert np.abs(gelu.Phi - special.ndtr(x.astype(np.float64))).max() < 3e-7
    np.testing.assert_allclose(y, wanted, rtol=1e-7, atol=3e-7)
    ones = np.ones_like(x)
    np.testing.assert_allclose(gelu.backward(ones), exact.backward(ones), atol=3.5e-7)
