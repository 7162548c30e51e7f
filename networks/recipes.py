"""Ready-made nets, one line each to call."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ..layers import Affine, ReLU, Sigmoid, he_normal, uniform, xavier_normal
from .sequential import Sequential


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
