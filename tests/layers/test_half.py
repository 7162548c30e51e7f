"""float16: every row of the table against float64, and sums that float16 alone would lose."""

import numpy as np
import pytest
from conformance import TABLE, make, x

from chainrule import layers
from chainrule.layers import (
    GRU,
    LSTM,
    RNN,
    Affine,
    AveragePooling,
    BatchNorm,
    Convolution,
    Embedding,
    GlobalAveragePooling,
    GroupNorm,
    LayerNorm,
    MaxPooling,
    MulLayer,
    PositionalEmbedding,
    Repeat,
    SelfAttention,
    Softmax,
    Sum,
)
from chainrule.layers.base import Layer
from chainrule.layers.nested import leaves, map_leaves
from chainrule.layers.tree import walk


def is_float(value):
    return isinstance(value, np.ndarray | np.floating) and value.dtype.kind == "f"


def cast(value, dtype):
    return map_leaves(lambda leaf: leaf.astype(dtype) if is_float(leaf) else leaf, value)


def run(layer, inputs, dtype):
    """Return the value, the inputs' gradients and the parameters' in one dtype throughout."""
    layer.map_arrays(lambda array: array.astype(np.float16).astype(dtype))
    out = layer.forward(*cast(cast(inputs, np.float16), dtype))
    dout = map_leaves(lambda leaf: x(*leaf.shape) if is_float(leaf) else 1.0, out)
    dx = layer.backward(cast(cast(dout, np.float16), dtype))
    return [leaf for value in (out, dx, tuple(layer.grads)) for _, leaf in leaves(value)]


def assert_close(half, exact):
    for mine, right in zip(half, exact, strict=True):
        if is_float(right):
            assert mine.dtype == np.float16
            scale = np.abs(right).max(initial=0.1)
            np.testing.assert_allclose(mine, right, rtol=0.02, atol=0.005 * scale)


def is_ordinary(factory, inputs):
    """Whether the row's numbers are of float16's range, and its layers the library's."""
    largest = [np.abs(leaf).max() for _, leaf in leaves(inputs)]
    ours = all(isinstance(layer, Layer) for _, layer in walk(make(factory)))
    return ours and min(largest) > 1e-3 and max(largest) < 100


ORDINARY = [row for row in TABLE if is_ordinary(*row.values)]


def test_every_layer_and_loss_has_an_ordinary_row():
    classes = [getattr(layers, name) for name in layers.__all__]
    expected = {c for c in classes if isinstance(c, type) and issubclass(c, Layer)} - {Layer}
    made = [make(factory) for factory, _ in (row.values for row in ORDINARY)]
    assert {type(layer) for net in made for _, layer in walk(net)} >= expected


@pytest.mark.parametrize(("factory", "inputs"), ORDINARY)
def test_float16_gives_what_float64_does(factory, inputs):
    assert_close(run(make(factory), inputs, np.float16), run(make(factory), inputs, np.float64))


@pytest.mark.parametrize(
    ("factory", "inputs"),
    [
        (lambda rng: Affine.random(3, 2, rng), (x(30_000, 3),)),
        (lambda rng: Convolution.random(1, 2, 3, rng), (1 + x(300, 1, 12, 12),)),
        (lambda: BatchNorm.identity(3), (300 * x(3000, 3),)),
        (lambda: BatchNorm.identity(3), (200 + x(3000, 3),)),
        (lambda: LayerNorm.identity(3000), (300 * x(3, 3000),)),
        (lambda: LayerNorm.identity(3), (1 + x(30_000, 3),)),
        (lambda: GroupNorm.identity(4, 2), (300 * x(30, 4, 20, 20),)),
        (lambda: AveragePooling(20), (3000 + x(3, 1, 20, 20),)),
        (lambda: MaxPooling(5, 1), (x(3, 1, 40, 40),)),
        (GlobalAveragePooling, (3000 + x(3, 1, 50, 50),)),
        (lambda: Sum(axis=0), (1 + 0.1 * x(30_000, 2),)),
        (lambda: Repeat(30_000), (x(3),)),
        (MulLayer, (x(30_000, 3), 1 + x(3))),
        (Softmax, (x(2, 60_000),)),
        (lambda rng: Embedding.random(3, 2, rng), (np.arange(30_000) % 3,)),
        (lambda rng: PositionalEmbedding.random(2, 3, rng), (x(30_000, 2, 3),)),
        (lambda rng: RNN.random(2, 3, rng), (x(30_000, 1, 2),)),
        (lambda rng: GRU.random(2, 3, rng), (x(30_000, 1, 2),)),
        (lambda rng: LSTM.random(2, 3, rng), (x(30_000, 1, 2),)),
        (lambda rng: SelfAttention.random(2, 1, rng), (x(30_000, 1, 2),)),
    ],
)
def test_sums_of_many(factory, inputs):
    assert_close(run(make(factory), inputs, np.float16), run(make(factory), inputs, np.float64))


@pytest.mark.parametrize(
    "layer", [LayerNorm.identity(4), GroupNorm.identity(4, 2), BatchNorm.identity(4)]
)
def test_a_variance_beyond_float32_is_an_error(layer):
    values = x(5, 4, dtype=np.float32) * np.float32(1e20)
    says = r"values up to .*e\+20, whose variance is not finite in float32"
    with pytest.raises(ValueError, match=says), np.errstate(over="ignore"):
        layer.forward(values)
    assert all(np.isfinite(array).all() for array in layer.state_dict().values())
