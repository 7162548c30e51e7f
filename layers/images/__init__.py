"""Layers of images: convolution, its transpose, and pooling."""

from .convolution import Convolution, ConvolutionTranspose
from .pooling import AveragePooling, GlobalAveragePooling, MaxPooling

__all__ = [
    "AveragePooling",
    "Convolution",
    "ConvolutionTranspose",
    "GlobalAveragePooling",
    "MaxPooling",
]
