"""Ready-made nets, one line each to call."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ..layers import (
    AddLayer,
    Affine,
    BatchNorm,
    Convolution,
    Dropout,
    Flatten,
    GlobalAveragePooling,
    Identity,
    MaxPooling,
    ReLU,
    Sigmoid,
    he_normal,
    uniform,
    xavier_normal,
)
from .sequential import Branch, Parallel, Sequential


def one_layer_net(
    inputs: int, outputs: int, rng: np.random.Generator, *, dtype: DTypeLike = np.float32
) -> Sequential:
    """``sigmoid(x @ W + b)``, W uniform in [-1, 1): for `MSELoss` on one-hot targets."""
    return Sequential(
        Affine.random(inputs, outputs, rng, init=uniform(-1, 1), dtype=dtype), Sigmoid()
    )


def two_layer_net(
    inputs: int,
    hidden: int,
    outputs: int,
    rng: np.random.Generator,
    *,
    activation: type[Sigmoid] | type[ReLU] = Sigmoid,
    dtype: DTypeLike = np.float32,
) -> Sequential:
    """``act(x @ W1 + b1) @ W2 + b2``: logits, for `CrossEntropyLoss`."""
    init = he_normal if activation is ReLU else xavier_normal
    return Sequential(
        Affine.random(inputs, hidden, rng, init=init, dtype=dtype),
        activation(),
        Affine.random(hidden, outputs, rng, init=init, dtype=dtype),
    )


def simple_conv_net(rng: np.random.Generator, *, dtype: DTypeLike = np.float32) -> Sequential:
    """Return logits of 10 classes for images (N, 1, 28, 28): one convolution, two affine layers.

    30 kernels of 5x5, ReLU, pooling by 2, 100 hidden units, ReLU: 433,890 parameters.
    """
    return Sequential(
        Convolution.random(1, 30, 5, rng, dtype=dtype),
        ReLU(),
        MaxPooling(2),
        Flatten(),
        Affine.random(30 * 12 * 12, 100, rng, dtype=dtype),
        ReLU(),
        Affine.random(100, 10, rng, dtype=dtype),
    )


def deep_conv_net(
    rng: np.random.Generator, *, dropout: float = 0.2, dtype: DTypeLike = np.float32
) -> Sequential:
    """Return logits of 10 classes for images (N, 1, 28, 28): a small residual net.

    16, 32 and 64 channels, halved twice in size, with batch normalization after each of the seven
    convolutions and a residual block at each smaller size: 117,162 parameters. He, Zhang, Ren, Sun
    (2016), Deep Residual Learning for Image Recognition, https://arxiv.org/abs/1512.03385

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the weights, and in training what is dropped.
    dropout : float, default 0.2
        Rate of dropout before the last layer.
    dtype : dtype, default float32
        Of all parameters.
    """

    def convolution(channels: int, filters: int, kernel: int = 3) -> Sequential:
        return Sequential(
            Convolution.random(channels, filters, kernel, rng, pad=kernel // 2, dtype=dtype),
            BatchNorm.identity(filters, dtype=dtype),
        )

    def residual(channels: int) -> Sequential:
        block = Sequential(convolution(channels, channels), ReLU(), convolution(channels, channels))
        return Sequential(Branch(2), Parallel(block, Identity()), AddLayer(), ReLU())

    return Sequential(
        *(convolution(1, 16, 5), ReLU(), MaxPooling(2)),
        *(convolution(16, 32), ReLU(), residual(32), MaxPooling(2)),
        *(convolution(32, 64), ReLU(), residual(64), GlobalAveragePooling()),
        *(Dropout(dropout, rng), Affine.random(64, 10, rng, dtype=dtype)),
    )
