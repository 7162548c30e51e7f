import numpy as np
import pytest

from chainrule.datasets import add_noise, one_hot, standardize


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_standardize_fits_on_train_alone(dtype):
    rng = np.random.default_rng(0)
    train = rng.normal([5, -3, 100], [1, 20, 0.1], (10_000, 3)).astype(dtype)
    test = rng.normal(0, 1, (50, 3)).astype(dtype)
    originals = train.copy(), test.copy()
    z_train, z_test = standardize(train, test)
    assert z_train.dtype == z_test.dtype == dtype
    # float32 holds values near 100 to 4e-6 only, which is 4e-5 of that column's deviation
    np.testing.assert_allclose(z_train.mean(axis=0, dtype=float), 0, atol=1e-4)
    np.testing.assert_allclose(z_train.std(axis=0, dtype=float), 1, rtol=1e-4)
    wide = originals[0].astype(float)
    expected = (originals[1] - wide.mean(axis=0)) / wide.std(axis=0)
    np.testing.assert_allclose(z_test, expected, rtol=1e-5 if dtype == np.float32 else 1e-12)
    np.testing.assert_array_equal(train, originals[0])
    np.testing.assert_array_equal(test, originals[1])


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 + 0.1, 1e-300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_column_becomes_zero(dtype, value):
    train = np.full((9_999, 2), value, dtype)
    train[:, 1] = np.arange(9_999)
    z, z_test = standardize(train, train[:3] + np.array([1, 0], dtype))
    np.testing.assert_allclose(z[:, 0], 0, atol=1e-6 * max(value, 1))
    np.testing.assert_allclose(z_test[:, 0], 1, rtol=0.1)
    assert np.isfinite(z).all()


def test_a_deviation_too_small_for_the_variance_is_no_division_by_zero():
    z = standardize(np.array([[0.0], [1e-200]]))
    assert np.isfinite(z).all()


def test_standardize_takes_images_vectors_and_integers():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (50, 1, 4, 4), np.uint8)
    z = standardize(images)
    assert z.dtype == np.float32
    expected = (images - images.mean(axis=0)) / images.std(axis=0)
    np.testing.assert_allclose(z, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(standardize([1, 3]), [-1, 1])


def test_standardize_bad_arguments():
    with pytest.raises(ValueError, match=r"shape \(5, 2\), expected \(M, 3\)"):
        standardize(np.ones((5, 3)), np.ones((5, 2)))
    with pytest.raises(ValueError, match="N at least 1"):
        standardize(np.ones((0, 3)))
    with pytest.raises(TypeError, match="complex128"):
        standardize(np.ones(3, complex))
    for value in (np.nan, np.inf, 1e200):
        with pytest.raises(ValueError, match=r"train in column \(1,\) is not finite"):
            standardize(np.array([[1.0, 2.0], [3.0, value]]))


def test_one_hot():
    encoded = one_hot([2, 0, 1, 2], 3)
    assert encoded.dtype == np.float32
    np.testing.assert_array_equal(encoded, [[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    t = np.random.default_rng(0).integers(0, 7, (4, 5)).astype(np.uint8)
    encoded = one_hot(t, 7, dtype=np.float64)
    assert encoded.shape == (4, 5, 7)
    assert encoded.dtype == np.float64
    np.testing.assert_array_equal(encoded.argmax(axis=-1), t)
    np.testing.assert_array_equal(encoded.sum(axis=-1), 1)


def test_one_hot_bad_arguments():
    with pytest.raises(ValueError, match=r"label 3 is not in 0\.\.2"):
        one_hot([0, 3], 3)
    with pytest.raises(ValueError, match=r"label -1 is not in 0\.\.2"):
        one_hot([0, -1], 3)
    with pytest.raises(TypeError, match="float64, expected integers"):
        one_hot([0.0, 1.0], 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise(dtype):
    x = np.full((100, 500), 3, dtype)
    noisy = add_noise(x, 0.5, np.random.default_rng(0))
    assert noisy.dtype == dtype
    assert (x == 3).all()
    assert abs(noisy.mean() - 3) < 0.01
    assert abs(noisy.std() - 0.5) < 0.01
    np.testing.assert_array_equal(noisy, add_noise(x, 0.5, np.random.default_rng(0)))
    np.testing.assert_array_equal(add_noise(x, 0, np.random.default_rng(0)), x)


def test_noise_bad_arguments():
    rng = np.random.default_rng(0)
    with pytest.raises(TypeError, match="dtype uint8"):
        add_noise(np.zeros(3, np.uint8), 0.1, rng)
    for scale in (-0.1, np.inf, np.nan):
        with pytest.raises(ValueError, match=f"scale is {scale}, expected a finite number"):
            add_noise(np.zeros(3), scale, rng)
    with pytest.raises(TypeError, match="rng is 0"):
        add_noise(np.zeros(3), 0.1, 0)
