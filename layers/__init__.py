"""Layers: small classes that keep what ``forward`` saw and apply the chain rule in ``backward``."""

from .activations import GELU, LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Tanh
from .affine import Affine, MatMul
from .arithmetic import AddLayer, Identity, MulLayer, Repeat, Sum
from .base import Layer, as_parameter
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

__all__ = [
    "GELU",
    "AddLayer",
    "Affine",
    "BinaryCrossEntropyLoss",
    "CrossEntropyLoss",
    "GradientError",
    "HuberLoss",
    "Identity",
    "Initializer",
    "Layer",
    "LeakyReLU",
    "MAELoss",
    "MSELoss",
    "MatMul",
    "MulLayer",
    "ReLU",
    "Repeat",
    "Sigmoid",
    "Softmax",
    "Softplus",
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
