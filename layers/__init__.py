"""Layers: small classes that keep what ``forward`` saw and apply the chain rule in ``backward``."""

from .activations import GELU, LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Tanh
from .affine import Affine, MatMul
from .arithmetic import AddLayer, Identity, MulLayer, Repeat, Sum
from .base import Layer
from .checks import as_parameter
from .cross_entropy import CrossEntropyLoss
from .dropout import Dropout, SpatialDropout
from .gradient_check import GradientError, check_gradients, layer_laws
from .images import (
    AveragePooling,
    Convolution,
    ConvolutionTranspose,
    GlobalAveragePooling,
    MaxPooling,
)
from .initializers import (
    Initializer,
    he_normal,
    lecun_normal,
    normal,
    uniform,
    xavier_normal,
    xavier_uniform,
    zeros,
)
from .joining import Concatenate, Reverse, Slice
from .losses import (
    BinaryCrossEntropyLoss,
    HuberLoss,
    MAELoss,
    MSELoss,
    SumLoss,
)
from .normalization import BatchNorm, GroupNorm, LayerNorm
from .numerical_gradient import numerical_gradient
from .sampling import GaussianKL, GaussianSample
from .sequences import (
    GRU,
    LSTM,
    RNN,
    Attention,
    Embedding,
    PositionalEmbedding,
    SelfAttention,
)
from .shape import Flatten, Pad, Reshape

__all__ = [
    "GELU",
    "GRU",
    "LSTM",
    "RNN",
    "AddLayer",
    "Affine",
    "Attention",
    "AveragePooling",
    "BatchNorm",
    "BinaryCrossEntropyLoss",
    "Concatenate",
    "Convolution",
    "ConvolutionTranspose",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianKL",
    "GaussianSample",
    "GlobalAveragePooling",
    "GradientError",
    "GroupNorm",
    "HuberLoss",
    "Identity",
    "Initializer",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "MAELoss",
    "MSELoss",
    "MatMul",
    "MaxPooling",
    "MulLayer",
    "Pad",
    "PositionalEmbedding",
    "ReLU",
    "Repeat",
    "Reshape",
    "Reverse",
    "SelfAttention",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Softplus",
    "SpatialDropout",
    "Sum",
    "SumLoss",
    "Tanh",
    "as_parameter",
    "check_gradients",
    "he_normal",
    "layer_laws",
    "lecun_normal",
    "normal",
    "numerical_gradient",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]
