import numpy as np
import pytest

from chainrule.layers import Affine, MatMul, uniform, xavier_uniform, zeros


def test_the_matrix_product_node_by_hand():
    x, W = np.array([[1.0, 2.0]]), np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    layer = MatMul(W)
    np.testing.assert_array_equal(layer.forward(x), [[9.0, 12.0, 15.0]])
    np.testing.assert_array_equal(layer.backward(np.array([[1.0, 0.0, -1.0]])), [[-2.0, -2.0]])
    np.testing.assert_array_equal(layer.dW, [[1.0, 0.0, -1.0], [2.0, 0.0, -2.0]])


def test_the_bias_gradient_is_the_sum_over_the_batch():
    layer = Affine(np.zeros((2, 3)), [1, 2, 3])  # integers become floats
    np.testing.assert_array_equal(layer.forward(np.ones((2, 2))), [[1, 2, 3], [1, 2, 3]])
    layer.backward(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    np.testing.assert_array_equal(layer.db, [5.0, 7.0, 9.0])


@pytest.mark.parametrize("lead", [(5,), (2, 5), (2, 1, 5)])
def test_leading_axes_are_rows(lead):
    rng = np.random.default_rng(0)
    layer = Affine.random(4, 3, rng, dtype=np.float64)
    x, dout = rng.normal(size=(*lead, 4)), rng.normal(size=(*lead, 3))
    np.testing.assert_allclose(layer.forward(x), np.einsum("...d,dm->...m", x, layer.W) + layer.b)
    np.testing.assert_allclose(layer.backward(dout), np.einsum("...m,dm->...d", dout, layer.W))
    np.testing.assert_allclose(layer.dW, np.tensordot(x, dout, 2 * [[*range(len(lead))]]))
    np.testing.assert_allclose(layer.db, dout.reshape(-1, 3).sum(axis=0))


def test_backward_params_gives_the_same_parameter_gradients():
    rng = np.random.default_rng(0)
    layer = Affine.random(4, 3, rng)
    x, dout = rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
    layer.forward(x)
    layer.backward(dout)
    expected = layer.grads
    assert layer.backward_params(dout) is None
    for grad, want in zip(layer.grads, expected, strict=True):
        np.testing.assert_array_equal(grad, want)


def test_float_arrays_are_held_and_others_converted():
    W = np.ones((2, 2), np.float32)
    assert MatMul(W).W is W
    assert MatMul([[1, 2], [3, 4]]).W.dtype == np.float64


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MatMul(np.ones(3)), ValueError, r"MatMul: W has shape \(3,\)"),
        (
            lambda: Affine(np.ones((2, 3)), np.ones(2)),
            ValueError,
            r"b has shape \(2,\), expected \(3,\)",
        ),
        (
            lambda: Affine([["a"]], [1]),
            TypeError,
            "Affine: W is of dtype <U1, expected real numbers",
        ),
        (lambda: Affine.random(2, 3, 0), TypeError, "rng is 0, expected a numpy.random.Generator"),
    ],
)
def test_bad_weights_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_random_draws_from_the_generator_alone():
    draw = lambda init: Affine.random(300, 200, np.random.default_rng(3), init=init)  # noqa: E731
    one, same = draw(uniform(-1, 1)), draw(uniform(-1, 1))
    np.testing.assert_array_equal(one.W, same.W)
    assert one.W.dtype == np.float32
    assert -1 <= one.W.min() < -0.99
    assert 0.99 < one.W.max() <= 1
    a = np.sqrt(6 / 500)
    assert 0.99 * a < draw(xavier_uniform).W.max() <= a
    assert not draw(zeros).W.any()


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("he_normal", np.sqrt(2 / 400)),
        ("xavier_normal", np.sqrt(2 / 700)),
        ("lecun_normal", np.sqrt(1 / 400)),
    ],
)
def test_normal_initializers_have_their_papers_spread(name, scale):
    import chainrule.layers

    init = getattr(chainrule.layers, name)
    W = MatMul.random(400, 300, np.random.default_rng(0), init=init, dtype=np.float64).W
    np.testing.assert_allclose(W.std(), scale, rtol=0.01)
    np.testing.assert_allclose(W.mean(), 0, atol=4 * scale / np.sqrt(W.size))


def test_transposed_is_the_layer_of_the_transposed_matrix():
    rng = np.random.default_rng(0)
    W, b, x, dout = (rng.normal(size=shape) for shape in ((3, 2), 2, (5, 3), (5, 2)))
    plain, tied = Affine(W, b), Affine(W.T.copy(), b, transposed=True)
    np.testing.assert_allclose(tied.forward(x), plain.forward(x))
    np.testing.assert_allclose(tied.backward(dout), plain.backward(dout))
    np.testing.assert_allclose(tied.dW, plain.dW.T)
    np.testing.assert_allclose(tied.db, plain.db)
    assert repr(tied) == "Affine(3 -> 2, transposed)"


def test_normal_has_the_given_spread():
    from chainrule.layers import normal

    W = MatMul.random(400, 300, np.random.default_rng(0), init=normal(0.01)).W
    assert W.dtype == np.float32
    np.testing.assert_allclose(W.std(), 0.01, rtol=0.01)
    with pytest.raises(ValueError, match=r"normal: std is -1\.0, expected at least 0"):
        normal(-1)
    with pytest.raises(TypeError, match="normal: std is '1', expected a number"):
        normal("1")


@pytest.mark.parametrize("kind", [MatMul, Affine])
def test_an_integer_dout_does_not_widen_the_gradient_of_x(kind):
    layer = kind.random(3, 2, np.random.default_rng(0))
    layer.forward(np.ones((4, 3), np.float32))
    assert layer.backward(np.ones((4, 2), int)).dtype == layer.dW.dtype == np.float32
