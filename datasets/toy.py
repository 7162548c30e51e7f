"""Small tables for the first examples, as plain numbers and float64 arrays.

Every call returns new arrays: inputs of shape (N, D) and targets of shape (N, 1).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_Table = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def shopping() -> tuple[tuple[tuple[int, int], tuple[int, int]], float]:
    """Return a basket of apples and oranges.

    Returns
    -------
    basket : pair of pairs of int
        Price and count of the apples, and of the oranges.
    tax : float
        Factor of the total price.

    Examples
    --------
    >>> ((apple, apple_num), (orange, orange_num)), tax = shopping()
    >>> (apple * apple_num + orange * orange_num) * tax
    715.0000000000001
    """
    return ((100, 2), (150, 3)), 1.1


def parabola() -> _Table:
    """Return three points of ``t = (x + 1)^2``: (1, 4), (2, 9), (3, 16).

    Returns
    -------
    x : array of shape (3, 1)
        Inputs.
    t : array of shape (3, 1)
        Targets.
    """
    return _column(1, 2, 3), _column(4, 9, 16)


def truth_table() -> _Table:
    """Return a table whose target is the first of three inputs; the third is always 1.

    Returns
    -------
    x : array of shape (4, 3)
        Inputs.
    t : array of shape (4, 1)
        Targets.
    """
    return _rows_with_bias(), _column(0, 0, 1, 1)


def xor_truth_table() -> _Table:
    """Return a table whose target is the XOR of the first two inputs; the third is always 1.

    Returns
    -------
    x : array of shape (4, 3)
        Inputs.
    t : array of shape (4, 1)
        Targets.
    """
    return _rows_with_bias(), _column(0, 1, 1, 0)


def xor() -> _Table:
    """Return the table of XOR with two inputs, which no single affine layer can learn.

    Returns
    -------
    x : array of shape (4, 2)
        Inputs.
    t : array of shape (4, 1)
        Targets.
    """
    return _rows_with_bias()[:, :2].copy(), _column(0, 1, 1, 0)


def _rows_with_bias() -> npt.NDArray[np.float64]:
    return np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=np.float64)


def _column(*values: float) -> npt.NDArray[np.float64]:
    return np.array(values, dtype=np.float64)[:, np.newaxis]
