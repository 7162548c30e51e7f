import numpy as np
import pytest

from chainrule.layers import Flatten, Pad, Reshape, check_gradients


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(2, 3, 4, 5))


def test_flatten_puts_each_sample_in_one_row(x):
    flatten = Flatten()
    out = flatten.forward(x)
    np.testing.assert_array_equal(out, [x[0].ravel(), x[1].ravel()])
    np.testing.assert_array_equal(flatten.backward(out), x)


def test_flatten_takes_samples_of_any_shape():
    assert Flatten().forward(np.ones(3)).shape == (3, 1)
    assert Flatten().forward(np.ones((3, 4))).shape == (3, 4)
    assert Flatten().forward(np.ones((0, 4, 5))).shape == (0, 20)


def test_reshape_keeps_the_order(x):
    reshape = Reshape(5, 12)
    out = reshape.forward(x)
    np.testing.assert_array_equal(out, x.reshape(2, 5, 12))
    np.testing.assert_array_equal(reshape.backward(out), x)
    assert Reshape(1, 28, 28).forward(np.ones((0, 784))).shape == (0, 1, 28, 28)


def test_pad_puts_zeros_around(x):
    pad = Pad((1, 2))
    out = pad.forward(x)
    np.testing.assert_array_equal(out, np.pad(x, [(0, 0), (0, 0), (1, 1), (2, 2)]))
    np.testing.assert_array_equal(pad.backward(out), x)
    np.testing.assert_array_equal(Pad(0).forward(x), x)


@pytest.mark.parametrize("layer", [Flatten(), Reshape(60), Pad(1)], ids=repr)
def test_gradients(layer, x):
    check_gradients(layer, x)


@pytest.mark.parametrize("layer", [Flatten(), Reshape(6)], ids=repr)
@pytest.mark.parametrize("dtype", [np.uint8, bool])
def test_integers_stay_integers_and_have_no_gradient(layer, dtype):
    x = np.arange(12).reshape(2, 2, 3).astype(dtype)
    out = layer.forward(x)
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, x.reshape(2, 6))
    assert layer.backward(np.ones((2, 6))) is None


def test_repr():
    assert [repr(layer) for layer in (Flatten(), Reshape(1, 28, 28), Pad(1), Pad((1, 2)))] == [
        "Flatten()",
        "Reshape(1, 28, 28)",
        "Pad(1x1)",
        "Pad(1x2)",
    ]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Reshape(2, -1), "Reshape: a length is -1, expected an integer of at least 1"),
        (lambda: Reshape((2, 3)), r"Reshape: a length is \(2, 3\), expected"),
        (lambda: Pad(-1), "Pad: pad is -1, expected an integer of at least 0"),
        (lambda: Reshape(7).forward(np.ones((2, 3))), r"Reshape\(7\): x has shape \(2, 3\)"),
        (lambda: Pad(1).forward(np.ones((2, 3))), r"expected \(N, C, H, W\)"),
        (lambda: Flatten().forward(1.0), r"x has shape \(\), expected \(N, ...\)"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
