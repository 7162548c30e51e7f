"""Where an array is: NumPy's in main memory, others, such as CuPy's, on a device.

All formulas are written in NumPy's functions, which arrays of other libraries answer themselves by
its dispatch protocols (NEP 13 and NEP 18). Here is the rest: moving, and what only NumPy's can do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def is_elsewhere(value: Any) -> bool:
    """Whether it is an array, by NumPy's dispatch protocol, but none of NumPy's."""
    return hasattr(value, "__array_function__") and not isinstance(value, np.ndarray)


def as_numpy(value: Any) -> Array:
    """Return an array as one of NumPy's: from a device a copy."""
    return np.asarray(value.get() if is_elsewhere(value) else value)


def moved(value: Any, like: Any) -> Any:
    """Return an array where `like` is, itself if it is there already; None and numbers stay."""
    if type(value) is type(like) or not hasattr(value, "__array_function__"):
        return value
    if is_elsewhere(like):
        return np.asarray(value, like=like)
    return as_numpy(value) if is_elsewhere(value) else value


def check_same_kind(owner: Any, /, **arrays: Any) -> None:
    """Raise TypeError, which names `owner` and both kinds, if two arrays are at two places."""
    (first, one), (second, other) = arrays.items()
    numbers = not (hasattr(one, "__array_function__") and hasattr(other, "__array_function__"))
    if type(one) is not type(other) and (is_elsewhere(one) or is_elsewhere(other)) and not numbers:
        raise TypeError(
            f"{owner!r}: {first} is a {_kind(one)}, {second} a {_kind(other)}, expected one kind; "
            "map_arrays moves a layer"
        )


def normal_cdf(x: Array, exp: Array) -> Array:
    """Return Phi(x), given ``exp(-x^2 / 2)``.

    For float64 it is SciPy's, which takes NumPy's arrays alone. Else, with an error of 3e-7,
    ``Phi(-|x|) = exp(-x^2 / 2) (c1 t + ... + c5 t^5)``, ``t = 1 / (1 + p |x|)``: formula 7.1.26 of
    Abramowitz, Stegun (1964), Handbook of Mathematical Functions, with another p and its best c,
    which round less in float32.
    """
    if x.dtype != np.float32 and isinstance(x, np.ndarray):
        from scipy.special import ndtr

        return ndtr(x)
    t = np.abs(x, out=np.empty_like(x))  # an array for a number too
    t *= 0.33
    t += 1
    np.divide(1, t, out=t)
    tail = np.multiply(t, -0.110677, out=np.empty_like(t))
    for c in (0.3792961, -0.0962549, 0.2062388, 0.121397):
        tail += c
        tail *= t
    tail *= exp
    np.subtract(x > 0, tail, out=tail)
    return np.abs(tail, out=tail)  # 1 - tail where x > 0


def sums_by_label(rows: Array, labels: Array) -> tuple[Array, Array]:
    """Return the labels that occur, in order, and the sum of the rows of each."""
    if isinstance(rows, np.ndarray):  # reduceat is NumPy's alone
        order = labels.argsort(kind="stable")  # equal labels side by side: a sum for each run
        found, starts = np.unique(labels[order], return_index=True)
        return found, np.add.reduceat(rows[order], starts, axis=0)
    found, place = np.unique(labels, return_inverse=True)
    columns = np.arange(rows.shape[1], like=rows)
    cells = place[:, np.newaxis] * rows.shape[1] + columns
    sums = np.bincount(cells.ravel(), weights=rows.ravel())
    return found, sums.reshape(-1, rows.shape[1]).astype(rows.dtype)


def _kind(value: Any) -> str:
    return f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"
