"""Exported recurrent layers, attention, joining layers and graphs beside the nets."""

import numpy as np
import pytest
from conformance import make, x
from small_onnx import ACCURACY, assert_same, in_dtype, run

from chainrule.layers import (
    GRU,
    LSTM,
    RNN,
    Affine,
    Attention,
    Concatenate,
    Embedding,
    GaussianKL,
    GaussianSample,
    LayerNorm,
    PositionalEmbedding,
    Reverse,
    SelfAttention,
    Slice,
)
from chainrule.networks import Sequential
from chainrule.networks.interchange import to_onnx

VALID = np.array([[True, True, False], [True, False, False], [False, False, False]])
MASK = np.tri(4, 5, dtype=bool)
IDS = np.arange(12).reshape(3, 4) % 7

ROWS = [
    (lambda rng: Embedding.random(7, 4, rng, std=1), IDS),
    (lambda rng: Embedding.random(7, 4, rng, std=1), IDS.astype(np.uint8)),
    (lambda rng: PositionalEmbedding.random(5, 3, rng, std=1), x(2, 4, 3)),
    *(
        row
        for layer, states in ((RNN, 1), (LSTM, 2), (GRU, 1))
        for row in (
            (lambda rng, layer=layer: layer.random(3, 4, rng), x(2, 5, 3)),
            (lambda rng, layer=layer: layer.random(3, 1, rng), x(1, 1, 3)),
            (
                lambda rng, layer=layer: layer.random(3, 4, rng, return_state=True),
                x(2, 5, 3),
                *[x(2, 4), -x(2, 4)][:states],
            ),
        )
    ),
    (lambda: Sequential(Reverse(), Slice(np.s_[:, 0])), x(2, 5, 3)),
    (Reverse, IDS),
    (Attention, x(2, 3, 4, 5), x(2, 3, 6, 5), x(2, 3, 6, 2)),
    (Attention, x(4, 3), x(5, 3), x(5, 2), MASK),
    (Attention, x(2, 4, 3), x(2, 5, 3), x(2, 5, 2), MASK & ([[[True]], [[False]]])),
    (lambda rng: SelfAttention.random(6, 2, rng), x(3, 3, 6)),
    (lambda rng: SelfAttention.random(6, 3, rng, causal=True), x(3, 3, 6)),
    (lambda rng: SelfAttention.random(6, 2, rng), x(3, 3, 6), VALID),
    (lambda rng: SelfAttention.random(6, 2, rng, causal=True), x(3, 3, 6), VALID),
    (Concatenate, x(4, 3), x(4, 2), x(4, 1)),
    (Concatenate, x(4, 3), IDS[:, :1].repeat(2, axis=0)[:4]),
    (lambda: Concatenate(axis=0), IDS, IDS),
    *(
        (lambda index=index: Slice(index), x(4, 5, 6))
        for index in (
            np.s_[:, -1],
            np.s_[1],
            np.s_[-2, ..., 0],
            np.s_[..., -1],
            np.s_[:, ::-1],
            np.s_[:, -2:0:-1, 1:-1:2],
            np.s_[...],
            np.s_[1, 2, 3],
        )
    ),
    (lambda: Slice(np.s_[:, 1:]), IDS),
    (lambda rng: GaussianSample(rng), x(4, 3), x(4, 3)),
    (GaussianKL, x(4, 3), -x(4, 3)),
]


@pytest.mark.parametrize("dtype", ACCURACY)
@pytest.mark.parametrize(("factory", "inputs"), [(f, tuple(inputs)) for f, *inputs in ROWS])
def test_every_row(factory, inputs, dtype):
    net = make(factory)
    inputs = in_dtype(net, inputs, dtype)
    for param in net.params:
        param += np.linspace(-0.2, 0.3, param.size, dtype=dtype).reshape(param.shape)
    assert_same(to_onnx(net, *inputs), net, inputs, ACCURACY[dtype])


def test_the_batch_is_free():
    rng = np.random.default_rng(0)
    net = Sequential(
        *(Embedding.random(7, 6, rng), PositionalEmbedding.random(4, 6, rng)),
        *(SelfAttention.random(6, 2, rng, causal=True), LayerNorm.identity(6)),
        *(GRU.random(6, 5, rng), LSTM.random(5, 4, rng), Slice(np.s_[:, -1])),
        Affine.random(4, 2, rng),
    )
    model = to_onnx(net, IDS[:1])
    assert_same(model, net, (IDS,), 1e-5)


def test_a_recurrent_layer_with_a_parameter_more():
    class Gained(LSTM):
        param_names = (*LSTM.param_names, "gain")

        def __init__(self, Wx, Wh, b, gain=None, *, return_state=False):
            super().__init__(Wx, Wh, b, return_state=return_state)
            self.gain = np.ones(1, self.b.dtype) if gain is None else gain

    layer = Gained.random(3, 2, np.random.default_rng(0))
    np.testing.assert_array_equal(layer.gain, 1)
    x = np.random.default_rng(1).normal(size=(2, 4, 3)).astype(np.float32)
    (got,) = run(to_onnx(layer, x), x)
    np.testing.assert_allclose(got, layer.predict(x), atol=1e-6)
