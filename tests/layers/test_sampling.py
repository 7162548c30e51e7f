"""GaussianSample and GaussianKL: moments, the mean in evaluation, and worked numbers."""

import numpy as np
import pytest

from chainrule.layers import GaussianKL, GaussianSample


def test_the_sample_has_the_mean_and_the_variance():
    layer = GaussianSample(np.random.default_rng(0))
    z = layer.forward(np.full(100_000, 3.0), np.full(100_000, np.log(4.0)))
    assert abs(z.mean() - 3) < 0.03
    assert abs(z.std() - 2) < 0.03


def test_in_evaluation_the_sample_is_the_mean():
    layer = GaussianSample(np.random.default_rng(0))
    layer.eval()
    np.testing.assert_array_equal(layer.forward(np.ones(3), np.zeros(3)), np.ones(3))
    dmean, dlog_var = layer.backward(np.ones(3))
    np.testing.assert_array_equal(dmean, np.ones(3))
    np.testing.assert_array_equal(dlog_var, np.zeros(3))


def test_kl_by_hand():
    kl = GaussianKL()
    np.testing.assert_array_equal(kl.forward([[0.0, 0.0]], [[0.0, 0.0]]), [0])
    expected = (1 + 4 - 1 - np.log(4)) / 2 + (0.25 - 1 + np.log(4)) / 2
    np.testing.assert_allclose(kl.forward([[1.0, 0.0]], np.log([[4.0, 0.25]])), [expected])


@pytest.mark.parametrize("layer", [GaussianSample(np.random.default_rng(0)), GaussianKL()])
def test_shapes_that_differ(layer):
    with pytest.raises(ValueError, match=r"log_var has shape \(2, 1\), expected \(2, 3\)"):
        layer.forward(np.ones((2, 3)), np.ones((2, 1)))
