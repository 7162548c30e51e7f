"""Layers: small classes that keep what ``forward`` saw and apply the chain rule in ``backward``."""

from .activations import GELU, LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Tanh
from .affine import Affine, MatMul
from .arithmetic import AddLayer, Identity, MulLayer, Repeat, Sum
from .base import Layer, as_parameter
from .convolution import Convolution, ConvolutionTranspose
from .dropout import Dropout, SpatialDropout
from .gradient_check import GradientError, check_gradients, layer_laws
from .initializers import (
    Initializer,
    he_normal,
    uniform,
    xavier_normal,
    xavier_uniform,
    zeros,
)
from .losses import BinaryCrossEntropyLoss, CrossEntropyLoss, HuberLoss, MAELoss, MSELoss
from .normalization import BatchNorm, GroupNorm, LayerNorm
from .pooling import AveragePooling, GlobalAveragePooling, MaxPooling
from .shape import Flatten, Pad, Reshape

__all__ = [
    "GELU",
    "AddLayer",
    "Affine",
    "AveragePooling",
    "BatchNorm",
    "BinaryCrossEntropyLoss",
    "Convolution",
    "ConvolutionTranspose",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
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
    "ReLU",
    "Repeat",
    "Reshape",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "SpatialDropout",
    "Sum",
    "Tanh",
    "as_parameter",
    "check_gradients",
    "he_normal",
    "layer_laws",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]
