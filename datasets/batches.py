"""Mini-batches of arrays with the same rows."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any, SupportsIndex, overload

import numpy as np
import numpy.typing as npt

from ._rng import check_rng

_Array = npt.NDArray[Any]


@overload
def batches(
    array: npt.ArrayLike,
    /,
    *,
    batch_size: SupportsIndex,
    rng: np.random.Generator | None = None,
    drop_last: bool = False,
) -> Iterator[_Array]: ...


@overload
def batches(
    array: npt.ArrayLike,
    /,
    *arrays: npt.ArrayLike,
    batch_size: SupportsIndex,
    rng: np.random.Generator | None = None,
    drop_last: bool = False,
) -> Iterator[tuple[_Array, ...]]: ...


def batches(
    *arrays: npt.ArrayLike,
    batch_size: SupportsIndex,
    rng: np.random.Generator | None = None,
    drop_last: bool = False,
) -> Iterator[Any]:
    """Iterate once over the arrays, `batch_size` rows at a time.

    Row i of every array belongs to sample i. Each batch is a new array; of a `numpy.memmap` only
    the rows of the batch are read.

    Parameters
    ----------
    *arrays : array_like of shape (N, ...)
        With one array the batches are arrays, with several they are tuples of arrays.
    batch_size : int
        Rows per batch.
    rng : numpy.random.Generator, optional
        Draws the order of the samples, at the call. By default they keep their order.
    drop_last : bool, default False
        Leave out a last batch that is smaller.

    Returns
    -------
    iterator
        Over the batches.

    Raises
    ------
    ValueError
        If the arrays differ in length or `batch_size` is not positive.
    TypeError
        If there is no array, `batch_size` is not an integer or `rng` is not a Generator.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> for x, t in batches(np.eye(5), np.arange(5), batch_size=2, rng=rng):
    ...     print(x.shape, t)
    (2, 5) [2 4]
    (2, 5) [3 0]
    (1, 5) [1]
    """
    data = [np.asarray(array) for array in arrays]
    if not data:
        raise TypeError("batches: got no arrays, expected at least one array")
    if any(array.ndim == 0 for array in data):
        raise ValueError("batches: got a single number, expected arrays of shape (N, ...)")
    lengths = [len(array) for array in data]
    if len(set(lengths)) > 1:
        raise ValueError(f"batches: the arrays have different lengths: {lengths}")
    batch_size = operator.index(batch_size)
    if batch_size < 1:
        raise ValueError(f"batches: batch_size is {batch_size}, expected at least 1")
    if rng is not None:
        check_rng("batches", rng)

    n = lengths[0]
    order = None if rng is None else rng.permutation(n)
    stop = n - n % batch_size if drop_last else n
    return _generate(data, batch_size, order, stop)


def _generate(
    data: list[_Array], batch_size: int, order: npt.NDArray[np.intp] | None, stop: int
) -> Iterator[Any]:
    for start in range(0, stop, batch_size):
        rows = slice(start, start + batch_size)
        if order is None:
            batch = tuple(array[rows].copy() for array in data)
        else:  # not np.take: it copies the whole of an array that is not contiguous
            batch = tuple(array[order[rows]] for array in data)
        yield batch if len(batch) > 1 else batch[0]
