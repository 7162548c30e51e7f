"""Data for examples and experiments: toy tables, MNIST, texts, mini-batches, transformations."""

from .augmentation import elastic, rotate, shift
from .batches import batches
from .idx import read_idx, write_idx
from .mnist import load_fashion_mnist, load_mnist, load_mnist_sample
from .text import Characters, additions, crops, dates, language_reference
from .toy import parabola, shopping, truth_table, xor, xor_truth_table
from .transforms import add_noise, one_hot, standardize

__all__ = [
    "Characters",
    "add_noise",
    "additions",
    "batches",
    "crops",
    "dates",
    "elastic",
    "language_reference",
    "load_fashion_mnist",
    "load_mnist",
    "load_mnist_sample",
    "one_hot",
    "parabola",
    "read_idx",
    "rotate",
    "shift",
    "shopping",
    "standardize",
    "truth_table",
    "write_idx",
    "xor",
    "xor_truth_table",
]
