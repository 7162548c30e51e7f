"""Batches out of arrays, which are checked and never copied as a whole, or out of an iterable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ...layers.base import Array
from ...layers.checks import as_count

Batch = tuple[Any, Array]
_BLOCK = 1_000_000  # numbers checked at a time


class Batches:
    """A data set as batches ``(x, t)``.

    Parameters
    ----------
    x, t : arrays of shape (N, ...)
        Inputs and targets; or x alone, an iterable of batches.
    batch_size : int, optional
        Rows a batch; None takes all as one. Of no meaning to an iterable.
    caller : str
        What the errors begin with.

    Raises
    ------
    TypeError
        If the arrays do not hold real numbers, or x is alone and an array.
    ValueError
        If their lengths differ or are 0, a value is NaN or infinite, or `batch_size` is no
        integer of at least 1.
    """

    def __init__(
        self, x: Any, t: Any = None, batch_size: int | None = None, *, caller: str
    ) -> None:
        if batch_size is not None:
            batch_size = as_count(batch_size, f"{caller}: batch_size")
        self.caller = caller
        self.samples: int | None = None
        self.iterable: Iterable[Any] | None = None
        if t is None:
            if hasattr(x, "__array__") or not isinstance(x, Iterable):
                raise TypeError(f"{caller}: x is a {type(x).__name__} without targets t")
            self.iterable = x
            return
        self.x, self.t = as_rows(f"{caller}: x", x), as_rows(f"{caller}: t", t)
        self.samples = len(self.x)
        if len(self.t) != self.samples:
            raise ValueError(
                f"{caller}: x has {self.samples} rows and t {len(self.t)}, "
                "expected one target for each input"
            )
        for name, array in (("x", self.x), ("t", self.t)):
            if found := nonfinite(array):
                raise ValueError(f"{caller}: {name}{found}, expected finite numbers")
        self.size = min(batch_size or self.samples, self.samples)

    @classmethod
    def of(cls, data: Any, caller: str) -> Self:
        """Return batches for evaluation of a pair of arrays or an iterable of batches.

        A tuple of two is a pair of arrays unless both are tuples of two that end with an array.
        """
        pair = isinstance(data, tuple) and not all(map(_is_batch, data))
        arrays = isinstance(data, list) and all(hasattr(part, "__array__") for part in data)
        if (pair or arrays) and len(data) == 2:
            return cls(data[0], data[1], batch_size=1000, caller=caller)
        return cls(data, caller=caller)

    @property
    def count(self) -> int | None:
        """Number of batches, None if it is not known beforehand."""
        return None if self.samples is None else -(-self.samples // self.size)

    def once(self, order: Array | None = None, start: int = 0) -> Iterator[Batch]:
        """Go through the data once, from batch `start` on; `order` is one of the rows of arrays."""
        if self.iterable is not None:
            yield from self._pairs(self.iterable, start)
            return
        for i in range(start * self.size, len(self.x), self.size):
            if order is None:
                yield self.x[i : i + self.size], self.t[i : i + self.size]
            else:
                rows = order[i : i + self.size]
                yield _take(self.x, rows), _take(self.t, rows)

    def _pairs(self, batches: Iterable[Any], start: int) -> Iterator[Batch]:
        i = -1
        for i, batch in enumerate(batches):
            if i >= start:
                yield as_pair(f"{self.caller}: batch {i}", batch)
        if i < 0:
            raise ValueError(
                f"{self.caller}: the iterable gave no batch; a generator runs only once, "
                "so give a list or an object whose __iter__ starts anew"
            )


def _is_batch(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and hasattr(value[1], "__array__")


def as_rows(name: str, values: ArrayLike) -> Array:
    """Return `values` as an array of real numbers with at least one row."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} is not an array of numbers: {error}") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} is of dtype {array.dtype}, expected real numbers")
    if array.ndim == 0 or len(array) == 0:
        raise ValueError(f"{name} has shape {array.shape}, expected (N, ...) with at least one row")
    return array


def as_pair(name: str, value: Any) -> Batch:
    """Return `value` as a batch: an array or a tuple of inputs, and an array of targets."""
    if not (isinstance(value, tuple | list) and len(value) == 2):
        raise TypeError(f"{name} is a {type(value).__name__}, expected a pair (x, t)")
    x, t = value
    return x if isinstance(x, tuple) else np.asarray(x), np.asarray(t)


def cast(x: Any, dtype: Any) -> Any:
    """Return floats in `dtype`, a net's own, and anything else, or without a dtype, as it is."""
    if dtype is None or not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        return x
    return x.astype(dtype, copy=False)


def dtype_of(net: Any) -> Any:
    """Return the dtype of the net's first parameter, None if it has none."""
    params = net.params
    return params[0].dtype if params else None


def nonfinite(array: Array) -> str:
    """Say where the first NaN or infinite value is and what it is, or return ``""``.

    Goes through the rows in blocks, so that little of a `numpy.memmap` is in memory at a time.
    """
    if array.dtype.kind != "f":
        return ""
    if array.ndim == 0:
        return "" if np.isfinite(array) else f" is {array}"
    rows = max(1, _BLOCK * len(array) // max(array.size, 1))
    for start in range(0, len(array), rows):
        finite = np.isfinite(array[start : start + rows])
        if not finite.all():
            first, *rest = map(int, np.unravel_index(finite.argmin(), finite.shape))
            place = (start + first, *rest)
            return f"[{', '.join(map(str, place))}] is {array[place]}"
    return ""


def _take(array: Array, rows: Array) -> Array:
    """``array[rows]``, by a fifth faster where NumPy would not copy all of the array for it."""
    if array.flags.c_contiguous and array.flags.aligned:
        return array.take(rows, axis=0)
    return array[rows]
