"""The table of every layer, loss and combinator: each law of test_conformance runs over each row.

A row is what makes the layer (a class or function, with an argument `rng` if it draws) and what
its forward gets. A new layer is tested by adding a row.
"""

import inspect

import numpy as np
import pytest

from chainrule.layers import (
    GELU,
    GRU,
    LSTM,
    RNN,
    AddLayer,
    Affine,
    Attention,
    AveragePooling,
    BatchNorm,
    BinaryCrossEntropyLoss,
    Concatenate,
    Convolution,
    ConvolutionTranspose,
    CrossEntropyLoss,
    Dropout,
    Embedding,
    Flatten,
    GaussianKL,
    GaussianSample,
    GlobalAveragePooling,
    GroupNorm,
    HuberLoss,
    Identity,
    LayerNorm,
    LeakyReLU,
    MAELoss,
    MatMul,
    MaxPooling,
    MSELoss,
    MulLayer,
    Pad,
    PositionalEmbedding,
    ReLU,
    Repeat,
    Reshape,
    Reverse,
    SelfAttention,
    Sigmoid,
    Slice,
    Softmax,
    Softplus,
    SpatialDropout,
    Sum,
    SumLoss,
    Tanh,
    xavier_uniform,
)
from chainrule.networks import (
    Branch,
    DataParallel,
    Graph,
    Parallel,
    Sequential,
    one_layer_net,
    recurrent_net,
    transformer_net,
    two_layer_net,
    variational_autoencoder,
)


def x(*shape, scale=1.0, dtype=np.float64):
    """Return normal numbers, always the same for a shape."""
    return (scale * np.random.default_rng([7, *shape]).normal(size=shape)).astype(dtype)


def labels(*shape, classes=3):
    return np.random.default_rng([8, *shape]).integers(classes, size=shape)


def shares(*shape):
    """Return distributions over the last axis."""
    t = np.random.default_rng([9, *shape]).random(shape)
    return t / t.sum(axis=-1, keepdims=True)


def residual(rng):
    block = Sequential(Affine.random(3, 5, rng), Tanh(), Affine.random(5, 3, rng))
    return Sequential(Branch(2), Parallel(block, Identity()), AddLayer())


def backwards(rng):
    return Sequential(Reverse(), GRU.random(3, 2, rng), Reverse())


def tied_words(rng):
    words = Embedding.random(7, 3, rng)
    return Sequential(words, Tanh(), Affine(words.W, x(7), transposed=True))


def tied(rng):
    W = rng.normal(size=(3, 3))
    return Sequential(Affine(W, rng.normal(size=3)), Tanh(), Affine(W, rng.normal(size=3)))


def shop():
    fruit = Sequential(Parallel(MulLayer(), MulLayer()), AddLayer())
    return Sequential(Parallel(fruit, Identity()), MulLayer())


def digits(rng):
    return Sequential(
        *(Convolution.random(1, 3, 3, rng), ReLU(), MaxPooling(2), BatchNorm.identity(3)),
        *(Flatten(), Affine.random(12, 4, rng), Dropout(0.5, rng)),
    )


class Siamese(Graph):
    """``out = tower(x1) * tower(x2) + x1``: one tower for two inputs, and a skip connection."""

    part_names = ("tower",)

    def __init__(self, rng):
        self.tower = Sequential(Affine.random(3, 4, rng), Tanh(), Affine.random(4, 3, rng))

    def connect(self, stack, x1, x2):
        product = stack.push(MulLayer(), stack.push(self.tower, x1), stack.push(self.tower, x2))
        return stack.push(AddLayer(), product, x1)


class Loop(Graph):
    """``h = tanh(x W + h V)``, one cell for three steps, whose outputs are all returned."""

    part_names = ("into", "over", "activation", "norm")

    def __init__(self, rng):
        self.into, self.over = MatMul.random(3, 2, rng), Affine.random(2, 2, rng)
        self.activation, self.norm = Tanh(), BatchNorm.identity(2)

    def connect(self, stack, x, h):
        for _ in range(3):
            add = AddLayer()
            h = stack.push(add, stack.push(self.into, x), stack.push(self.over, h))
            h = stack.push(self.norm, stack.push(self.activation, h))
        return h, (h, x)


class Plain:
    """The old tutorials' style: no base class, its own lists, gradients written in place."""

    def __init__(self, rng):
        self.params = [rng.normal(size=(3, 2)), rng.normal(size=2)]
        self.grads = [np.zeros_like(p) for p in self.params]

    def __repr__(self):
        return "Plain()"

    def forward(self, x):
        W, b = self.params
        self.x = x
        return x @ W + b

    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        self.grads[1][...] = dout.sum(axis=0)
        return dout @ self.params[0].T


ARITHMETIC = [
    (MulLayer, 100.0, 2.0),
    (MulLayer, 100, 1.1),
    (MulLayer, x(4, 3), x(4, 3)),
    (MulLayer, x(4, 3), x(3)),
    (MulLayer, x(4, 1), x(1, 3)),
    (MulLayer, x(2, 4, 3), 1.5),
    (MulLayer, x(4, 3, scale=1e-8), x(4, 3, scale=1e8)),
    (AddLayer, 100.0, 2.0),
    (AddLayer, x(4, 3), x(4, 3)),
    (AddLayer, x(3), x(4, 3)),
    (AddLayer, x(2, 1, 3), x(4, 1)),
    (AddLayer, x(4, 3, dtype=np.float32), x(4, 3)),
    (Identity, x(4, 3)),
    (Identity, x(4, 3), (x(4), 2.0)),
    (lambda: Repeat(3), x(4, 3)),
    (lambda: Repeat(2, axis=1), x(4, 3)),
    (lambda: Repeat(1, axis=-1), x(5)),
    (Sum, x(4, 3)),
    (lambda: Sum(axis=0), x(4, 3)),
    (lambda: Sum(axis=(0, 2)), x(4, 3, 2)),
    (lambda: Sum(axis=-1), x(4, 3, dtype=np.float32)),
]

WEIGHTS = [
    (lambda rng: MatMul.random(3, 2, rng), x(4, 3)),
    (lambda rng: MatMul.random(3, 2, rng, dtype=np.float64), x(2, 4, 3)),
    (lambda rng: MatMul.random(1, 1, rng), x(1, 1)),
    (lambda rng: Affine.random(3, 2, rng), x(4, 3)),
    (lambda rng: Affine.random(3, 3, rng, init=xavier_uniform), x(3, 3)),
    (lambda rng: Affine.random(3, 2, rng), x(2, 4, 3, dtype=np.float32)),
    (lambda rng: Affine.random(3, 2, rng), x(4, 3, scale=1e8)),
    (lambda rng: Affine.random(3, 2, rng), x(4, 3, scale=1e-8)),
    (lambda: Affine([[1, 2], [3, 4]], [5, 6]), x(4, 2)),
    (lambda: Affine([[1, 2], [3, 4], [5, 6]], [5, 6, 7], transposed=True), x(4, 2)),
    (lambda: Affine([[1.0, 2], [3, 4], [5, 6]], [5, 6, 7], transposed=True), x(2, 4, 2)),
    (lambda rng: Affine.random(40, 30, rng), x(20, 40)),
]

ACTIVATIONS = [
    (activation, x(*shape, scale=scale, dtype=dtype))
    for activation in (
        Sigmoid,
        Tanh,
        ReLU,
        LeakyReLU,
        lambda: LeakyReLU(0.3),
        GELU,
        Softplus,
        Softmax,
    )
    for shape, scale, dtype in (
        ((4, 3), 1.0, np.float64),
        ((2, 4, 3), 1.0, np.float32),
        ((5,), 30.0, np.float64),
        ((4, 3), 1e-8, np.float64),
        ((4, 3), 1e8, np.float64),
    )
] + [(ReLU, np.zeros((4, 3))), (LeakyReLU, np.round(x(4, 3))), (Softmax, x(4, 1))]

LOSSES = [
    (lambda loss=loss, reduction=reduction: loss(reduction=reduction), *inputs)
    for reduction in ("mean", "sum")
    for loss, *inputs in (
        (MSELoss, x(4, 3), x(4, 3)[::-1]),
        (MSELoss, x(4, 1, dtype=np.float32), labels(4, 1)),
        (MSELoss, x(4, 3, scale=1e8), x(4, 3)),
        (MSELoss, x(4, 3, scale=1e-8), 2 * x(4, 3, scale=1e-8)),
        (MAELoss, x(4, 3), x(4, 3)[::-1]),
        (MAELoss, np.round(x(4, 3)), np.round(x(4, 3)) * [0.0, 1.0, 2.0]),
        (HuberLoss, x(4, 3, scale=3.0), x(4, 3)[::-1]),
        (CrossEntropyLoss, x(4, 3), labels(4)),
        (CrossEntropyLoss, x(4, 3, dtype=np.float32), shares(4, 3)),
        (CrossEntropyLoss, x(2, 4, 3), labels(2, 4)),
        (CrossEntropyLoss, x(4, 3, scale=1e4), labels(4)),
        (BinaryCrossEntropyLoss, x(4, 3), shares(4, 3)),
        (BinaryCrossEntropyLoss, x(4, 3, scale=100.0), labels(4, 3, classes=2)),
    )
] + [
    (lambda: HuberLoss(delta=0.1), x(4, 3), x(4, 3)[::-1]),
    (lambda: CrossEntropyLoss(ignore_index=1), x(4, 3), labels(4)),
    (lambda: CrossEntropyLoss(class_weights=[1.0, 0.0, 2.5]), x(4, 3), labels(4)),
    (lambda: BinaryCrossEntropyLoss(positive_weight=3.0), x(4, 3), shares(4, 3)),
    (
        lambda: SumLoss(MSELoss(), CrossEntropyLoss(), weights=(1.0, 0.5)),
        (x(4, 3), x(4, 2)),
        (x(4, 3)[::-1], labels(4, classes=2)),
    ),
]

IMAGES = [
    (lambda rng: Convolution.random(2, 3, 3, rng), x(4, 2, 6, 5)),
    (lambda rng: Convolution.random(1, 2, 3, rng, pad="same", dilation=2), x(2, 1, 6, 5)),
    (lambda rng: Convolution.random(1, 1, 1, rng), x(2, 1, 1, 1)),
    (
        lambda rng: Convolution.random(2, 4, (3, 2), rng, stride=(2, 1), pad=(1, 0), groups=2),
        x(3, 2, 6, 5, dtype=np.float32),
    ),
    (lambda rng: ConvolutionTranspose.random(2, 3, 3, rng, stride=2, pad=1), x(3, 2, 4, 3)),
    (
        lambda rng: ConvolutionTranspose.random(2, 4, 2, rng, dilation=2, groups=2),
        x(3, 2, 4, 3, dtype=np.float32),
    ),
    (lambda: MaxPooling(2), x(3, 2, 6, 4)),
    (lambda: MaxPooling(3, stride=2, pad=1), x(3, 2, 6, 5, dtype=np.float32)),
    (lambda: MaxPooling(2), np.round(x(2, 1, 4, 4))),
    (lambda: MaxPooling(3, stride=1), np.round(x(2, 1, 4, 4))),
    (lambda: MaxPooling(2), np.zeros((2, 1, 2, 2))),
    (lambda: AveragePooling(2), x(3, 2, 6, 4)),
    (lambda: AveragePooling((3, 2), stride=(1, 2), pad=(1, 0)), x(3, 2, 6, 5, dtype=np.float32)),
    (GlobalAveragePooling, x(3, 2, 4, 3)),
    (Flatten, x(3, 2, 4, 3)),
    (Flatten, x(3)),
    (lambda: Reshape(2, 4, 3), x(3, 24)),
    (lambda: Pad((1, 2)), x(3, 2, 4, 3)),
]

NORMALIZATION = [
    (lambda: BatchNorm.identity(3), x(5, 3)),
    (lambda: BatchNorm([1.0, 2, 3], [4.0, 5, 6]), x(4, 3, 2, 2, dtype=np.float32)),
    (lambda: BatchNorm.identity(3), 10 + x(8, 3)),
    (lambda: LayerNorm.identity(3), x(5, 3)),
    (lambda: LayerNorm.identity(3, 2, 2), x(4, 3, 2, 2, dtype=np.float32)),
    (lambda: LayerNorm([1.0, 2, 3], [4.0, 5, 6]), x(2, 4, 3, scale=1e-8)),
    (lambda: GroupNorm.identity(4, 2), x(5, 4)),
    (lambda: GroupNorm([1.0, 2, 3, 4], [4.0, 5, 6, 7], 2), x(4, 4, 2, 2, scale=1e8)),
    (lambda rng: Dropout(0.4, rng), x(5, 3)),
    (lambda rng: Dropout(0.4, rng), x(3, 2, 4, 3, dtype=np.float32)),
    (lambda rng: SpatialDropout(0.4, rng), x(3, 4, 2, 3)),
]

NETWORKS = [
    (lambda rng: Sequential(Affine.random(3, 2, rng)), x(4, 3)),
    (lambda rng: Sequential(Affine.random(3, 5, rng), ReLU(), Affine.random(5, 2, rng)), x(4, 3)),
    (lambda: Sequential(), x(4, 3)),
    (lambda: Parallel(Tanh(), Sigmoid()), x(4, 3), x(2, 3)),
    (lambda: Parallel(Tanh()), x(4, 3)),
    (lambda: Parallel(MulLayer(), Identity()), (x(4, 3), x(3)), 1.5),
    (lambda: Branch(3), x(4, 3)),
    (lambda: Branch(1), x(4, 3)),
    (lambda: Branch(2), x(4, 3), 2.0),
    (digits, x(5, 1, 6, 6)),
    (shop, ((100.0, 2.0), (150.0, 3.0)), 1.1),
    (shop, ((100, 2), (150, 3)), 1.1),
    (residual, x(4, 3)),
    (lambda rng: DataParallel(residual(rng), 2), x(5, 3)),
    (tied, x(4, 3)),
    (Siamese, x(4, 3), x(4, 3)[::-1]),
    (Siamese, x(4, 3, dtype=np.float32), x(4, 3, scale=2.0, dtype=np.float32)),
    (Loop, x(4, 3), x(4, 2)),
    (Plain, x(4, 3)),
    (lambda rng: Sequential(Plain(rng), Tanh()), x(4, 3)),
    (lambda rng: one_layer_net(20, 4, rng), x(6, 20)),
    (lambda rng: two_layer_net(20, 10, 4, rng), x(6, 20, dtype=np.float32)),
    (lambda rng: two_layer_net(20, 10, 4, rng, activation=ReLU), x(6, 20)),
]


SEEN = np.array([[True, True, False, True], [False] * 4, [True] * 4])  # one row sees nothing

SEQUENCES = [
    *(
        (lambda rng, cell=cell, last=last: cell.random(2, 5, rng, return_state=last), *inputs)
        for cell, states in ((RNN, [x(3, 5)]), (LSTM, [x(3, 5), x(3, 5)]), (GRU, [x(3, 5)]))
        for last in (False, True)
        for inputs in ([x(3, 4, 2)], [x(3, 4, 2), *states], [x(3, 1, 2, dtype=np.float32)])
    ),
    (
        lambda rng: Sequential(
            *(RNN.random(2, 3, rng), Dropout(0.3, rng)),
            *(Branch(2), Parallel(LSTM.random(3, 2, rng), backwards(rng)), Concatenate()),
            *(Slice(np.s_[:, -1]), Affine.random(4, 3, rng)),
        ),
        x(3, 4, 2),
    ),
    (lambda rng: Embedding.random(7, 3, rng), labels(3, 4, classes=7)),
    (lambda rng: Embedding.random(7, 3, rng), labels(5, classes=7).astype(np.uint8)),
    (lambda rng: PositionalEmbedding.random(6, 2, rng), x(3, 4, 2)),
    (lambda rng: PositionalEmbedding.random(4, 2, rng), x(3, 4, 2, dtype=np.float32)),
    (Attention, x(3, 4, 5), x(3, 6, 5), x(3, 6, 2)),
    (Attention, x(3, 2, 4, 5), x(3, 2, 4, 5, scale=5.0), x(3, 2, 4, 2), SEEN[:, None, None]),
    (Attention, x(3, 4, 5), x(3, 4, 5), x(3, 4, 2), np.tri(4, dtype=bool)),
    *(
        (lambda rng, causal=causal: SelfAttention.random(6, 2, rng, causal=causal), *inputs)
        for causal in (False, True)
        for inputs in ([x(3, 4, 6)], [x(3, 4, 6), SEEN])
    ),
    (Concatenate, x(3, 4, 2), x(3, 4, 3), x(3, 4, 1)),
    (lambda: Concatenate(axis=1), x(3, 2), labels(3, 4)),
    (lambda: Slice(np.s_[:, -1]), x(3, 4, 2)),
    (lambda: Slice(np.s_[..., 1::2]), x(3, 4, 5, dtype=np.float32)),
    (Reverse, x(3, 4, 2)),
    (lambda rng: GaussianSample(rng), x(3, 4), x(3, 4, scale=0.5)),
    (lambda: GaussianKL(), x(3, 4), x(3, 4, scale=0.5)),
    (lambda rng: variational_autoencoder(6, 5, 2, rng, dtype=np.float64), x(4, 6)),
    (tied_words, labels(3, 5, classes=7)),
    (lambda rng: recurrent_net(7, 4, 3, rng, depth=2), labels(3, 5, classes=7)),
    (lambda rng: transformer_net(7, 5, 4, 2, 1, rng), labels(3, 5, classes=7)),
]


def make(factory, seed=0):
    """Return the layer that a row makes."""
    draws = "rng" in inspect.signature(factory).parameters
    return factory(rng=np.random.default_rng(seed)) if draws else factory()


def spell(value):
    """Write inputs by their shapes, for the names of the tests."""
    if isinstance(value, tuple):
        return "(" + ", ".join(map(spell, value)) + ")"
    return repr(value) if np.shape(value) == () else "x".join(map(str, np.shape(value)))


TABLE = [
    pytest.param(factory, inputs, id=f"{make(factory)!r:.60} {spell(inputs)}")
    for factory, *inputs in ARITHMETIC
    + WEIGHTS
    + ACTIVATIONS
    + LOSSES
    + IMAGES
    + NORMALIZATION
    + NETWORKS
    + SEQUENCES
    for inputs in [tuple(inputs)]
]
