import tracemalloc

import numpy as np
import pytest

from chainrule.layers import Convolution, ConvolutionTranspose, check_gradients
from chainrule.layers.images import correlation

CASES = [
    {},
    {"pad": 2},
    {"pad": "same"},
    {"pad": "same", "dilation": (2, 1)},
    {"stride": 2},
    {"stride": (3, 2), "pad": (1, 2)},
    {"stride": 2, "dilation": 2, "pad": 3},
    {"stride": (4, 3), "dilation": (1, 2)},
    {"stride": (2, 3), "dilation": (2, 3), "pad": 4},
    {"groups": 2, "pad": 1},
    {"groups": 4, "stride": 2, "pad": (0, 1)},
]


def seven_loops(x, W, b, stride=1, pad=0, dilation=1, groups=1):
    (sh, sw), (dh, dw) = np.broadcast_to(stride, 2), np.broadcast_to(dilation, 2)
    N, (F, C, KH, KW) = len(x), W.shape
    if pad == "same":
        total = (KH - 1) * dh, (KW - 1) * dw
        pads = [(t // 2, t - t // 2) for t in total]
    else:
        pads = [(p, p) for p in np.broadcast_to(pad, 2)]
    x = np.pad(x, [(0, 0), (0, 0), *pads])
    OH = (x.shape[2] - dh * (KH - 1) - 1) // sh + 1
    OW = (x.shape[3] - dw * (KW - 1) - 1) // sw + 1
    out = np.zeros((N, F, OH, OW))
    for n, f, h, w in np.ndindex(out.shape):
        out[n, f, h, w] = b[f]
        for c, i, j in np.ndindex(C, KH, KW):
            channel = f // (F // groups) * C + c
            out[n, f, h, w] += W[f, c, i, j] * x[n, channel, h * sh + i * dh, w * sw + j * dw]
    return out


def draw(case, kernel=(3, 2), layer=Convolution):
    rng = np.random.default_rng(0)
    conv = layer.random(4, 8, kernel, rng, dtype=np.float64, **case)
    conv.b[...] = rng.normal(size=8)
    return conv, rng.normal(size=(2, 4, 9, 8)), rng


@pytest.fixture(params=["one block", "many blocks"])
def blocks(request, monkeypatch):
    if request.param == "many blocks":
        monkeypatch.setattr(correlation, "_BLOCK", 3000)
        monkeypatch.setattr(correlation, "_COLUMNS", 5)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_are_those_of_seven_loops(case):
    conv, x, _ = draw(case)
    np.testing.assert_allclose(
        conv.forward(x), seven_loops(x, conv.W, conv.b, **case), rtol=1e-12, atol=1e-12
    )


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("layer", [Convolution, ConvolutionTranspose])
def test_gradients(layer, case):
    conv, x, _ = draw(case, layer=layer)
    check_gradients(conv, x, max_elements=20)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolution_transpose_is_the_adjoint(case):
    conv, x, rng = draw(case)
    transpose = ConvolutionTranspose(conv.W, np.zeros(4), **case)
    y = rng.normal(size=conv.forward(x).shape)
    large = transpose.forward(y)
    x = rng.normal(size=large.shape)
    small = conv.forward(x) - conv.b[:, None, None]
    np.testing.assert_allclose(np.vdot(small, y), np.vdot(x, large), rtol=1e-11)


def test_a_convolution_by_hand():
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    conv = Convolution([[[[1, 2], [3, 4]]]], [10])
    np.testing.assert_array_equal(conv.forward(x), [[[[37, 47], [67, 77]]]])
    dx = conv.backward(np.array([[[[1.0, 0.0], [0.0, -1.0]]]]))
    np.testing.assert_array_equal(dx, [[[[1, 2, 0], [3, 3, -2], [0, -3, -4]]]])
    np.testing.assert_array_equal(conv.dW, [[[[-4, -4], [-4, -4]]]])
    np.testing.assert_array_equal(conv.db, [0])


@pytest.mark.parametrize("kernel", [1, 2, 3, (4, 5)])
@pytest.mark.parametrize("dilation", [1, 2])
def test_pad_same_keeps_the_size(kernel, dilation):
    conv, x, _ = draw({"pad": "same", "dilation": dilation}, kernel)
    assert conv.forward(x).shape == (2, 8, 9, 8)


def test_a_first_layer_may_leave_out_dx():
    conv, x, rng = draw({"pad": 1})
    dout = rng.normal(size=conv.forward(x).shape)
    conv.backward(dout)
    expected = conv.grads
    assert conv.backward_params(dout) is None
    for grad, want in zip(conv.grads, expected, strict=True):
        np.testing.assert_array_equal(grad, want)


def test_an_empty_batch_has_an_empty_output():
    conv, x, _ = draw({"pad": 1})
    assert conv.forward(x[:0]).shape == (0, 8, 9, 9)
    assert conv.backward(np.empty((0, 8, 9, 9))).shape == (0, 4, 9, 8)
    assert not conv.dW.any()


def test_the_dtype_is_numpys_choice():
    conv, x, _ = draw({})
    assert conv.forward(x.astype(np.float32)).dtype == np.float64
    half = Convolution(conv.W.astype(np.float32), conv.b.astype(np.float32))
    assert half.forward(x.astype(int)).dtype == np.float32
    assert half.forward(x).dtype == np.float64
    assert half.backward(np.ones((2, 8, 7, 7), np.float32)).dtype == np.float32


def test_memory_stays_far_from_all_patches_of_a_batch():
    rng = np.random.default_rng(0)
    conv = Convolution.random(8, 8, 5, rng, pad=2)
    x = rng.normal(size=(64, 8, 32, 32)).astype(np.float32)
    dout = conv.forward(x)
    tracemalloc.start()
    try:
        conv.forward(x)  # out and a copy of x with the batch last
        conv.backward(dout)  # dx
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * x.nbytes + 2 * correlation._BLOCK < 25 * x.nbytes / 3


def test_random_draws_by_the_fan_in():
    rng = np.random.default_rng(0)
    conv = Convolution.random(64, 96, (3, 5), rng, groups=2)
    assert conv.W.shape == (96, 32, 3, 5)
    assert conv.W.dtype == conv.b.dtype == np.float32
    np.testing.assert_allclose(conv.W.std(), np.sqrt(2 / (32 * 15)), rtol=0.02)
    assert not conv.b.any()
    transpose = ConvolutionTranspose.random(96, 64, 4, rng, stride=2)
    assert transpose.W.shape == (96, 64, 4, 4)
    np.testing.assert_allclose(transpose.W.std(), np.sqrt(2 / (96 * 4)), rtol=0.02)


def test_repr():
    rng = np.random.default_rng(0)
    assert repr(Convolution.random(1, 30, 5, rng, pad=0)) == "Convolution(1 -> 30, 5x5)"
    options = {"stride": 2, "pad": np.array([1, 0]), "dilation": 3, "groups": 2}
    conv = Convolution.random(4, 6, (3, 1), rng, **options)
    assert repr(conv) == "Convolution(4 -> 6, 3x1, stride=2x2, pad=1x0, dilation=3x3, groups=2)"
    conv = ConvolutionTranspose.random(4, 6, 3, rng, pad="same")
    assert repr(conv) == "ConvolutionTranspose(4 -> 6, 3x3, pad='same')"


W, B = np.ones((4, 2, 3, 3)), np.ones(4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Convolution(np.ones((4, 9)), B), r"W has shape \(4, 9\), expected \(F, C, KH, KW"),
        (lambda: Convolution(np.ones((4, 0, 3, 3)), B), r"W has shape \(4, 0, 3, 3\)"),
        (lambda: Convolution(W, np.ones(2)), r"b has shape \(2,\), expected \(4,\)"),
        (lambda: ConvolutionTranspose(W, B), r"b has shape \(4,\), expected \(2,\)"),
        (lambda: Convolution(W, B, stride=0), "stride is 0, expected an integer of at least 1"),
        (lambda: Convolution(W, B, stride=(1, 2, 3)), r"stride is \(1, 2, 3\)"),
        (lambda: Convolution(W, B, stride=1.5), "stride is 1.5"),
        (lambda: Convolution(W, B, pad=-1), "pad is -1, expected an integer of at least 0"),
        (lambda: Convolution(W, B, pad="valid"), "pad is 'valid'"),
        (lambda: Convolution(W, B, pad="same", stride=2), "pad='same' with stride"),
        (lambda: Convolution(W, B, dilation=(1, 0)), r"dilation is \(1, 0\)"),
        (lambda: Convolution(W, B, groups=3), "groups is 3, expected a divisor of 4"),
        (lambda: Convolution(W, B, groups=2.0), "groups is 2.0, expected an integer"),
        (
            lambda: Convolution.random(3, 4, 3, np.random.default_rng(0), groups=2),
            "channels, filters and groups are 3, 4 and 2",
        ),
        (lambda: Convolution.random(3, 4, 0, np.random.default_rng(0)), "random: kernel is 0"),
        (
            lambda: Convolution.random(3.0, 4, 3, np.random.default_rng(0)),
            "Convolution.random: channels is 3.0, expected an integer of at least 1",
        ),
        (
            lambda: ConvolutionTranspose.random(3, "4", 3, np.random.default_rng(0)),
            "ConvolutionTranspose.random: filters is '4', expected an integer of at least 1",
        ),
        (
            lambda: Convolution.random(3, 4, 3, np.random.default_rng(0), groups=0.5),
            "Convolution.random: groups is 0.5, expected an integer of at least 1",
        ),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("shape", [(2, 9, 9), (5, 3, 9, 9), (5, 2, 2, 9)])
def test_bad_images_are_refused(shape):
    with pytest.raises(ValueError, match=r"Convolution\(2 -> 4, 3x3\): x has shape .*, expected"):
        Convolution(W, B).forward(np.ones(shape))


def test_a_gradient_of_another_shape_is_refused():
    conv, x, _ = draw({})
    conv.forward(x)
    with pytest.raises(ValueError, match=r"dout has shape \(2, 8, 9, 8\), expected \(2, 8, 7, 7\)"):
        conv.backward(np.ones((2, 8, 9, 8)))
