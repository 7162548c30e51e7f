"""Layers: small classes that keep what ``forward`` saw and apply the chain rule in ``backward``."""

from .activations import GELU, LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Tanh
from .affine import Affine, MatMul
from .arithmetic import AddLayer, Identity, MulLayer, Repeat, Sum
from .base import Layer, as_parameter
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
    "he_normal",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]
