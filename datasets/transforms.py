"""Transformations of inputs and labels: standardize, one_hot, add_noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._rng import check_rng

_Array = npt.NDArray[Any]
_ROWS = 4096  # rows per block, so that the float64 copies of float32 data stay small


def standardize(train: npt.ArrayLike, *others: npt.ArrayLike) -> Any:
    """Scale every column to ``(x - mean) / std``, with mean and std of `train` alone.

    A column that is constant in `train` is only centred: it becomes 0 there, not NaN.

    Parameters
    ----------
    train : array_like of shape (N, ...)
        N samples; each position within a sample is a column.
    *others : array_like of shape (M, ...)
        Further samples of the same columns, such as the test set.

    Returns
    -------
    array, or tuple of arrays if there are others
        New arrays. Floating dtypes are kept; integers become floats that can represent them, uint8
        float32.

    Raises
    ------
    ValueError
        If `train` is empty, or has a column with NaN, infinite or too large values, or the columns
        of the others differ.
    """
    arrays = [_floating("standardize", array) for array in (train, *others)]
    x = arrays[0]
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"standardize: train has shape {x.shape}, expected (N, ...), N at least 1")
    for array in arrays[1:]:
        if array.ndim != x.ndim or array.shape[1:] != x.shape[1:]:
            columns = ", ".join(str(size) for size in ("M", *x.shape[1:]))
            raise ValueError(f"standardize: got shape {array.shape}, expected ({columns})")

    with np.errstate(over="ignore", invalid="ignore"):
        mean = x.mean(axis=0, dtype=np.float64)
        blocks = (x[i : i + _ROWS] for i in range(0, len(x), _ROWS))
        variance = sum(np.square(block - mean).sum(axis=0) for block in blocks) / len(x)
    wrong = np.argwhere(~np.isfinite(variance))
    if len(wrong):
        column = tuple(map(int, wrong[0]))
        raise ValueError(f"standardize: the variance of train in column {column} is not finite")
    # Rounding leaves a constant column of 0.1 a tiny variance: compare the values themselves.
    constant = (x.max(axis=0) == x.min(axis=0)) | (variance == 0)
    std = np.where(constant, 1.0, np.sqrt(variance))

    standardized = tuple(_scaled(array, mean, std) for array in arrays)
    return standardized if others else standardized[0]


def one_hot(
    labels: npt.ArrayLike, classes: int, dtype: npt.DTypeLike = np.float32
) -> npt.NDArray[Any]:
    """Convert labels to unit vectors: 1 at the label's position and 0 elsewhere.

    Parameters
    ----------
    labels : array_like of integers, shape (...)
        Each from 0 to K - 1.
    classes : int
        Number K of classes.
    dtype : dtype, default float32
        Dtype of the vectors.

    Returns
    -------
    array of shape (..., K)
        The vectors.

    Raises
    ------
    TypeError
        If the labels are not integers.
    ValueError
        If a label is out of range.
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"one_hot: labels have dtype {labels.dtype}, expected integers")
    wrong = labels[(labels < 0) | (labels >= classes)]
    if wrong.size:
        raise ValueError(f"one_hot: label {wrong[0]} is not in 0..{classes - 1}")
    encoded = np.zeros((*labels.shape, classes), dtype)
    np.put_along_axis(encoded, labels[..., np.newaxis].astype(np.intp), 1, axis=-1)
    return encoded


def add_noise(x: npt.ArrayLike, scale: float, rng: np.random.Generator) -> _Array:
    """Add Gaussian noise: ``x + scale * z``, with z drawn from the standard normal distribution.

    Nothing is clipped: noisy pixels may leave [0, 1].

    Parameters
    ----------
    x : array_like
        Of dtype float32 or float64.
    scale : float
        Standard deviation of the noise, at least 0.
    rng : numpy.random.Generator
        Draws z.

    Returns
    -------
    array of the shape of x
        A new array of the same dtype.

    Raises
    ------
    TypeError
        If `x` is not float32 or float64.
    ValueError
        If `scale` is negative or not finite.
    """
    x = np.asarray(x)
    if x.dtype not in (np.float32, np.float64):
        raise TypeError(f"add_noise: x has dtype {x.dtype}, expected float32 or float64")
    if not 0 <= scale < np.inf:
        raise ValueError(f"add_noise: scale is {scale}, expected a finite number of at least 0")
    check_rng("add_noise", rng)
    noise = rng.standard_normal(x.shape, x.dtype)
    noise *= scale
    noise += x
    return noise


def _floating(name: str, array: npt.ArrayLike) -> _Array:
    x = np.asarray(array)
    if x.dtype.kind not in "biuf":
        raise TypeError(f"{name}: got dtype {x.dtype}, expected real numbers")
    return x if x.dtype.kind == "f" else x.astype(np.result_type(x, np.float32))


def _scaled(x: _Array, mean: _Array, std: _Array) -> _Array:
    out = np.empty(x.shape, x.dtype)
    np.subtract(x, mean, out=out, casting="same_kind")
    return np.divide(out, std, out=out, casting="same_kind")
