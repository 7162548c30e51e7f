"""Ready-made nets."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..layers import (
    GELU,
    GRU,
    LSTM,
    RNN,
    AddLayer,
    Affine,
    BatchNorm,
    Convolution,
    Dropout,
    Embedding,
    Flatten,
    GaussianKL,
    GaussianSample,
    GlobalAveragePooling,
    Identity,
    Layer,
    LayerNorm,
    MaxPooling,
    PositionalEmbedding,
    ReLU,
    SelfAttention,
    Sigmoid,
    he_normal,
    normal,
    uniform,
    xavier_normal,
)
from .sequential import Branch, Parallel, Sequential


def one_layer_net(
    inputs: int, outputs: int, rng: np.random.Generator, *, dtype: DTypeLike = np.float32
) -> Sequential:
    """``sigmoid(x @ W + b)``, W uniform in [-1, 1): for `MSELoss` on one-hot targets.

    Parameters
    ----------
    inputs, outputs : int
        Numbers of inputs and outputs.
    rng : numpy.random.Generator
        Draws W.
    dtype : dtype, default float32
        Dtype of the parameters.

    Returns
    -------
    Sequential
        The net.
    """
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
    """``act(x @ W1 + b1) @ W2 + b2``: logits, for `CrossEntropyLoss`.

    Parameters
    ----------
    inputs, hidden, outputs : int
        Numbers of inputs, hidden units and outputs.
    rng : numpy.random.Generator
        Draws the weights.
    activation : class of layers, default Sigmoid
        The activation act; with ReLU the weights are drawn by `he_normal`, else by `xavier_normal`.
    dtype : dtype, default float32
        Dtype of the parameters.

    Returns
    -------
    Sequential
        The net.

    Raises
    ------
    TypeError
        If `activation` is not a class of layers.
    """
    if not (isinstance(activation, type) and issubclass(activation, Layer)):
        raise TypeError(
            f"two_layer_net: activation is {activation!r}, expected a layer class such as ReLU"
        )
    init = he_normal if activation is ReLU else xavier_normal
    return Sequential(
        Affine.random(inputs, hidden, rng, init=init, dtype=dtype),
        activation(),
        Affine.random(hidden, outputs, rng, init=init, dtype=dtype),
    )


def simple_conv_net(rng: np.random.Generator, *, dtype: DTypeLike = np.float32) -> Sequential:
    """Return logits of 10 classes for images (N, 1, 28, 28): one convolution, two affine layers.

    30 kernels of 5x5, ReLU, pooling by 2, 100 hidden units, ReLU: 433,890 parameters.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the weights.
    dtype : dtype, default float32
        Dtype of the parameters.

    Returns
    -------
    Sequential
        The net.
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


def residual_conv_net(
    rng: np.random.Generator, *, dropout: float = 0.2, dtype: DTypeLike = np.float32
) -> Sequential:
    """Return logits of 10 classes for images (N, 1, 28, 28): a small residual net.

    16, 32 and 64 channels, halved twice in size, with batch normalization after each of the seven
    convolutions and a residual block at each smaller size: 117,162 parameters. He, Zhang, Ren, Sun
    (2016), Deep Residual Learning for Image Recognition, https://arxiv.org/abs/1512.03385

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the weights, and in training the masks of Dropout.
    dropout : float, default 0.2
        Drop probability before the last layer.
    dtype : dtype, default float32
        Dtype of the parameters.

    Returns
    -------
    Sequential
        The net.
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


def recurrent_net(
    vocab: int,
    size: int,
    hidden: int,
    rng: np.random.Generator,
    *,
    cell: type[RNN] | type[LSTM] | type[GRU] = LSTM,
    depth: int = 1,
    dropout: float = 0.0,
    dtype: DTypeLike = np.float32,
) -> Sequential:
    """Return logits (N, T, vocab) of the next token for tokens (N, T): stacked recurrent layers.

    Mikolov et al. (2010), Recurrent neural network based language model,
    https://doi.org/10.21437/Interspeech.2010-343

    Parameters
    ----------
    vocab, size, hidden : int
        Number of tokens, length of their embeddings, and length of the state.
    rng : numpy.random.Generator
        Draws the weights, and in training the masks of Dropout.
    cell : {RNN, LSTM, GRU}, default LSTM
        The recurrent layer.
    depth : int, default 1
        Number of recurrent layers.
    dropout : float, default 0.0
        Drop probability before each layer after the embedding.
    dtype : dtype, default float32
        Dtype of the parameters.

    Returns
    -------
    Sequential
        The net.
    """
    widths = [size] + [hidden] * depth
    return Sequential(
        Embedding.random(vocab, size, rng, std=1.0, dtype=dtype),
        *(
            layer
            for inputs in widths[:-1]
            for layer in (*_dropout(dropout, rng), cell.random(inputs, hidden, rng, dtype=dtype))
        ),
        *_dropout(dropout, rng),
        Affine.random(hidden, vocab, rng, init=xavier_normal, dtype=dtype),
    )


def transformer_net(
    vocab: int,
    length: int,
    size: int,
    heads: int,
    depth: int,
    rng: np.random.Generator,
    *,
    dropout: float = 0.0,
    dtype: DTypeLike = np.float32,
) -> Sequential:
    """Return logits (N, T, vocab) of the next token for tokens (N, T): a small GPT.

    `depth` blocks, each ``x + attention(norm(x))`` and then ``x + mlp(norm(x))``, with causal
    attention and a GELU layer of ``4 size`` units. Radford et al. (2019), Language Models are
    Unsupervised Multitask Learners; the norm before each part: Xiong et al. (2020), On Layer
    Normalization in the Transformer Architecture, https://arxiv.org/abs/2002.04745

    Parameters
    ----------
    vocab, length, size : int
        Number of tokens, longest sequence, and length of the embeddings.
    heads, depth : int
        Heads of each attention, a divisor of `size`, and number of blocks.
    rng : numpy.random.Generator
        Draws the weights, and in training the masks of Dropout.
    dropout : float, default 0.0
        Drop probability after the embeddings, and after each attention and mlp.
    dtype : dtype, default float32
        Dtype of the parameters.

    Returns
    -------
    Sequential
        The net.
    """
    init = normal(0.02)

    def residual(*layers: Layer) -> Sequential:
        block = Sequential(LayerNorm.identity(size, dtype=dtype), *layers, *_dropout(dropout, rng))
        return Sequential(Branch(2), Parallel(block, Identity()), AddLayer())

    def block() -> tuple[Sequential, Sequential]:
        attention = SelfAttention.random(size, heads, rng, causal=True, init=init, dtype=dtype)
        mlp = (
            Affine.random(size, 4 * size, rng, init=init, dtype=dtype),
            GELU(),
            Affine.random(4 * size, size, rng, init=init, dtype=dtype),
        )
        return residual(attention), residual(*mlp)

    return Sequential(
        Embedding.random(vocab, size, rng, dtype=dtype),
        PositionalEmbedding.random(length, size, rng, dtype=dtype),
        *_dropout(dropout, rng),
        *(part for _ in range(depth) for part in block()),
        LayerNorm.identity(size, dtype=dtype),
        Affine.random(size, vocab, rng, init=init, dtype=dtype),
    )


def variational_autoencoder(
    inputs: int,
    hidden: int,
    latent: int,
    rng: np.random.Generator,
    *,
    dtype: DTypeLike = np.float32,
) -> Sequential:
    """Return logits (N, inputs) that reconstruct x (N, inputs), and the KL term of each row (N,).

    The encoder gives the mean and the log variance of the latent variable z, `GaussianSample` draws
    z, the decoder gives the logits; `GaussianKL` is the divergence of z from N(0, 1). Kingma,
    Welling (2014), Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114

    Parameters
    ----------
    inputs, hidden, latent : int
        Length of x, units of the hidden layer of encoder and decoder, and length of z.
    rng : numpy.random.Generator
        Draws the weights, and z in training; in evaluation z is its mean.
    dtype : dtype, default float32
        Dtype of the parameters.

    Returns
    -------
    Sequential
        The net.

    Examples
    --------
    >>> from chainrule.layers import BinaryCrossEntropyLoss, MAELoss, SumLoss
    >>> net = variational_autoencoder(4, 8, 2, np.random.default_rng(0))
    >>> encoder, decoder = net[0], net[2][0][1]

    The loss is the negative evidence lower bound of x in [0, 1]: the cross entropy, summed over
    the inputs, plus the KL term, which is at least 0, so that its mean absolute value is its mean:

    >>> loss = SumLoss(BinaryCrossEntropyLoss(), MAELoss(), weights=(4, 1))
    >>> x = np.zeros((3, 4), np.float32)
    >>> logits, kl = net.forward(x)
    >>> loss.forward((logits, kl), (x, np.zeros(3))) > 0
    True
    """
    before_relu = partial(Affine.random, rng=rng, init=he_normal, dtype=dtype)
    linear = partial(Affine.random, rng=rng, init=xavier_normal, dtype=dtype)
    encoder = Sequential(
        before_relu(inputs, hidden),
        ReLU(),
        Branch(2),
        Parallel(linear(hidden, latent), linear(hidden, latent)),
    )
    decoder = Sequential(before_relu(latent, hidden), ReLU(), linear(hidden, inputs))
    drawn = Sequential(GaussianSample(rng), decoder)
    return Sequential(encoder, Branch(2), Parallel(drawn, GaussianKL()))


def _dropout(rate: float, rng: np.random.Generator) -> tuple[Dropout, ...]:
    return (Dropout(rate, rng),) if rate else ()


def deep_conv_net(*args: Any, **kwargs: Any) -> Sequential:
    """`residual_conv_net` by its old name: the books' DeepConvNet is another net.

    Parameters
    ----------
    *args, **kwargs
        Those of `residual_conv_net`.

    Returns
    -------
    Sequential
        The net.
    """
    warnings.warn("deep_conv_net is now called residual_conv_net", DeprecationWarning, stacklevel=2)
    return residual_conv_net(*args, **kwargs)
