import numpy as np
import pytest

from chainrule.layers import AveragePooling, GlobalAveragePooling, MaxPooling, check_gradients

CASES = [
    {"size": 2},
    {"size": 3},
    {"size": 3, "stride": 2, "pad": 1},
    {"size": (2, 3), "stride": (1, 2), "pad": (0, 2)},
    {"size": (1, 4), "stride": 3},
    {"size": 2, "stride": (3, 4)},
]


def slow(x, dout, reduce, size, stride=None, pad=0):
    """Window by window: y, and dx where `reduce` gives a window's value and each pixel's share."""
    (kh, kw), (ph, pw) = np.broadcast_to(size, 2), np.broadcast_to(pad, 2)
    sh, sw = np.broadcast_to(size if stride is None else stride, 2)
    N, C, H, W = x.shape
    y = np.zeros((N, C, (H + 2 * ph - kh) // sh + 1, (W + 2 * pw - kw) // sw + 1))
    dx = np.zeros_like(x)
    for n, c, h, w in np.ndindex(y.shape):
        pixels = [(h * sh - ph + i, w * sw - pw + j) for i in range(kh) for j in range(kw)]
        inside = [(i, j) for i, j in pixels if 0 <= i < H and 0 <= j < W]
        y[n, c, h, w], shares = reduce([x[n, c, i, j] for i, j in inside], kh * kw)
        for (i, j), share in zip(inside, shares, strict=True):
            dx[n, c, i, j] += share * (1 if dout is None else dout[n, c, h, w])
    return y, dx


def first_greatest(values, _):
    return max(values), [float(k == values.index(max(values))) for k in range(len(values))]


def mean_with_padding(values, n):
    return sum(values) / n, [1 / n] * len(values)


POOLS = [(MaxPooling, first_greatest), (AveragePooling, mean_with_padding)]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("values", ["distinct", "many ties", "negative"])
@pytest.mark.parametrize(("pooling", "reduce"), POOLS)
def test_against_a_loop_over_windows(pooling, reduce, values, case):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 8, 9))
    if values == "many ties":
        x = np.maximum(x.round(), 0)
    if values == "negative":
        x = -np.abs(x) - 1
    pool = pooling(**case)
    y = pool.forward(x)
    dout = rng.normal(size=y.shape)
    expected_y, expected_dx = slow(x, dout, reduce, **case)
    np.testing.assert_allclose(y, expected_y)
    np.testing.assert_allclose(pool.backward(dout), expected_dx, atol=1e-14)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("pooling", [MaxPooling, AveragePooling])
def test_gradients(pooling, case):
    check_gradients(pooling(**case), np.random.default_rng(0).normal(size=(2, 3, 8, 9)))


def test_of_equal_greatest_values_the_first_gets_the_gradient():
    pool = MaxPooling(2)
    pool.forward(np.zeros((1, 1, 2, 2)))
    np.testing.assert_array_equal(pool.backward(np.full((1, 1, 1, 1), 5.0)), [[[[5, 0], [0, 0]]]])
    pool.forward(np.array([[[[1.0, 2.0], [2.0, 2.0]]]]))
    np.testing.assert_array_equal(pool.backward(np.full((1, 1, 1, 1), 5.0)), [[[[0, 5], [0, 0]]]])


def test_minus_infinity_everywhere_still_passes_one_gradient():
    pool = MaxPooling(3, stride=2, pad=1)
    y = pool.forward(np.full((1, 1, 3, 3), -np.inf))
    assert np.isneginf(y).all()
    assert pool.backward(np.ones_like(y)).sum() == y.size


def test_global_average_pooling():
    rng = np.random.default_rng(0)
    x, dout = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 3))
    pool = GlobalAveragePooling()
    np.testing.assert_allclose(pool.forward(x), x.reshape(2, 3, 20).mean(axis=2))
    expected = np.broadcast_to(dout[:, :, None, None] / 20, x.shape)
    np.testing.assert_allclose(pool.backward(dout), expected)
    assert pool.backward(dout).flags.writeable
    check_gradients(pool, x)


@pytest.mark.parametrize("pool", [MaxPooling(2), AveragePooling(2), GlobalAveragePooling()])
def test_an_empty_batch(pool):
    y = pool.forward(np.empty((0, 3, 4, 4)))
    assert pool.backward(y).shape == (0, 3, 4, 4)


@pytest.mark.parametrize("pool", [AveragePooling(2), GlobalAveragePooling()])
def test_a_mean_keeps_no_array(pool):
    pool.forward(np.ones((2, 3, 4, 4)))
    assert not [name for name, value in vars(pool).items() if isinstance(value, np.ndarray)]


def test_repr():
    assert repr(MaxPooling(2)) == "MaxPooling(2x2)"
    assert repr(AveragePooling((3, 2), stride=2, pad=1)) == (
        "AveragePooling(3x2, stride=2x2, pad=1x1)"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxPooling(0), "MaxPooling: size is 0, expected an integer of at least 1"),
        (lambda: MaxPooling((2, 2.5)), r"size is \(2, 2.5\)"),
        (lambda: AveragePooling(2, stride=0), "AveragePooling: stride is 0"),
        (lambda: MaxPooling(2, 2, 2), r"pad is .* one pair, MaxPooling\(\(height, width\), stride"),
        (lambda: MaxPooling(2, pad=2), r"pad is \(2, 2\), expected less than the size \(2, 2\)"),
        (lambda: MaxPooling(2, pad=-1), "pad is -1, expected an integer of at least 0"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("pool", [MaxPooling(5), AveragePooling(5), GlobalAveragePooling()])
@pytest.mark.parametrize("shape", [(4, 25), (2, 3, 0, 6)])
def test_bad_images_are_refused(pool, shape):
    with pytest.raises(ValueError, match=r"Pooling\(.*\): x has shape .*, expected \(N, C, H, W\)"):
        pool.forward(np.ones(shape))


def test_an_image_smaller_than_the_window_is_refused():
    with pytest.raises(ValueError, match=r"MaxPooling\(5x5\): x has shape .* no smaller"):
        MaxPooling(5).forward(np.ones((2, 3, 4, 6)))
