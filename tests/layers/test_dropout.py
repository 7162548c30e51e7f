import numpy as np
import pytest

from chainrule.layers import Dropout, SpatialDropout


def rng():
    return np.random.default_rng(0)


def test_kept_elements_grow_so_that_the_mean_stays():
    y = Dropout(0.3, rng()).forward(np.ones((300, 400)))
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.7])
    np.testing.assert_allclose((y == 0).mean(), 0.3, atol=0.01)
    np.testing.assert_allclose(y.mean(), 1, atol=0.01)


def test_the_gradient_passes_the_same_mask_and_each_forward_draws_another():
    layer, x = Dropout(0.5, rng()), np.ones((20, 30))
    y = layer.forward(x)
    np.testing.assert_array_equal(layer.backward(x), y)
    assert (layer.forward(x) != y).any()


@pytest.mark.parametrize("make", [Dropout, SpatialDropout])
def test_in_evaluation_nothing_happens(make):
    layer, x = make(0.5, rng()), rng().normal(size=(2, 3, 4, 5))
    layer.eval()
    np.testing.assert_array_equal(layer.forward(x), x)
    np.testing.assert_array_equal(layer.backward(x), x)


def test_rate_zero_keeps_all():
    x = rng().normal(size=(20, 30))
    np.testing.assert_array_equal(Dropout(0, rng()).forward(x), x)


def test_spatial_dropout_drops_whole_channels():
    y = SpatialDropout(0.5, rng()).forward(np.ones((20, 30, 4, 5)))
    assert (y == y[:, :, :1, :1]).all()
    np.testing.assert_allclose((y == 0).mean(), 0.5, atol=0.05)


@pytest.mark.parametrize("make", [Dropout, SpatialDropout])
def test_the_mask_depends_on_the_generator_and_the_shape_alone(make):
    x = rng().normal(size=(6, 5, 4, 3))
    y = make(0.5, rng()).forward(x)
    other = make(0.5, rng()).forward(np.asfortranarray(x))
    np.testing.assert_array_equal(y, other)


def test_float32_stays_float32():
    layer = Dropout(0.5, rng())
    assert layer.forward(np.ones((2, 3), np.float32)).dtype == np.float32
    assert layer.backward(np.ones((2, 3), np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Dropout(1.0, rng()), ValueError, r"Dropout: rate is 1.0, expected .* \[0, 1\)"),
        (lambda: Dropout(-0.1, rng()), ValueError, "rate is -0.1"),
        (lambda: Dropout(float("nan"), rng()), ValueError, "rate is nan"),
        (lambda: Dropout("0.5", rng()), TypeError, "Dropout: rate is '0.5', expected a number"),
        (lambda: SpatialDropout(0.5, 0), TypeError, "SpatialDropout: rng is 0, expected a numpy"),
        (
            lambda: Dropout(0.5, rng()).forward(1.0),
            ValueError,
            r"Dropout\(0.5\): x has shape \(\), expected \(N, ...\)",
        ),
        (
            lambda: SpatialDropout(0.5, rng()).forward(np.ones((2, 3))),
            ValueError,
            r"SpatialDropout\(0.5\): x has shape \(2, 3\), expected \(N, C, H, W\)",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
