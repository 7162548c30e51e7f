"""Batches of the rows of arrays, which are checked and never copied as a whole, or of an iterable.

Inputs and targets are arrays or nested tuples of arrays, for nets of several inputs and outputs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

import numpy as np

from ...layers.base import Array
from ...layers.checks import as_count, check_real
from ...layers.device import is_elsewhere, moved
from ...layers.nested import at, leaves, map_leaves
from ...layers.tree import own_params

Batch = tuple[Any, Any, Any]  # x, t, and the samples' weights or None
Share = Callable[[int], slice]  # from a number of rows to those of a rank
_BLOCK = 1_000_000  # numbers checked at a time


class Batches:
    """A data set as batches ``(x, t, weights)``; weights are None where there are none.

    Parameters
    ----------
    x, t : arrays of shape (N, ...) or nested tuples of them
        Inputs and targets; or x alone, an iterable of batches ``(x, t)`` or ``(x, t, weights)``.
    batch_size : int, optional
        Rows per batch; None takes all as one.
    weights : array of shape (N,) or (N, ...), optional
        Weights of the rows, or of the leading axes of the targets.
    drop_last : bool, default False
        Leave out a last batch that is smaller.
    caller : str
        Beginning of the error messages.
    """

    def __init__(
        self,
        x: Any,
        t: Any = None,
        batch_size: int | None = None,
        *,
        weights: Any = None,
        drop_last: bool = False,
        caller: str,
    ) -> None:
        if batch_size is not None:
            batch_size = as_count(batch_size, f"{caller}: batch_size")
        self.caller, self.drop_last = caller, drop_last
        self.samples: int | None = None
        self.iterable: Iterable[Any] | None = None
        self.rows: Array | None = None  # those that `subset` chose
        if t is None:
            if isinstance(x, tuple) or hasattr(x, "__array__") or not isinstance(x, Iterable):
                hint = ": batches come in a list" if isinstance(x, tuple) else ""
                raise TypeError(f"{caller}: x is a {type(x).__name__} without targets t{hint}")
            options = {"batch_size": batch_size, "weights": weights, "drop_last": drop_last or None}
            for name, value in options.items():
                if value is not None:
                    raise TypeError(f"{caller}: {name} is for arrays, but x is batches already")
            self.iterable = x
            return
        self.x, self.t = as_rows(f"{caller}: x", x), as_rows(f"{caller}: t", t)
        self.weights = None if weights is None else as_rows(f"{caller}: weights", weights)
        self.samples = self._count_rows()
        self.size = min(batch_size or self.samples, self.samples)

    def _count_rows(self) -> int:
        """Return the number of rows, which all arrays must share, each of finite numbers."""
        first, count = "", 0
        for name, value in (("x", self.x), ("t", self.t), ("weights", self.weights)):
            for path, array in leaves(value):
                if array is None:
                    continue
                place = name + at(path)
                first, count = (first, count) if first else (place, len(array))
                if len(array) != count:
                    raise ValueError(
                        f"{self.caller}: {first} has {count} rows and {place} {len(array)}, "
                        "expected equal numbers"
                    )
                if found := nonfinite(array):
                    raise ValueError(f"{self.caller}: {place}{found}, expected finite numbers")
        return count

    @classmethod
    def of(cls, data: Any, caller: str) -> Self:
        """Return batches for evaluation: of a tuple ``(x, t)`` or ``(x, t, weights)``, or of an
        iterable of such tuples, each a batch.
        """  # noqa: D205
        if not isinstance(data, tuple):
            return cls(data, caller=caller)
        x, t, weights = as_batch(caller, data, arrays=False)
        return cls(x, t, 1000, weights=weights, caller=caller)

    @property
    def count(self) -> int | None:
        """Number of batches, None if it is not known in advance."""
        if self.samples is None:
            return None
        return self.samples // self.size if self.drop_last else -(-self.samples // self.size)

    def subset(self, rows: Array) -> Self:
        """Return batches of some rows of the arrays, which are not copied."""
        part = copy.copy(self)
        part.rows, part.samples = rows if self.rows is None else self.rows[rows], len(rows)
        part.size = min(self.size, max(len(rows), 1))
        return part

    def shared(self, share: Share) -> Self:
        """Return batches of a share of all rows; of an iterable, itself: each rank has its own."""
        if self.samples is None or share(self.samples) == slice(0, self.samples):
            return self
        return self.subset(np.arange(self.samples)[share(self.samples)])

    def few(self) -> Batches | None:
        """Return two rows or the first batch for a trial; None if that might use up an iterable."""
        if self.iterable is None:
            return self.subset(np.arange(min(2, self.samples or 0)))
        if isinstance(self.iterable, list) and self.iterable:
            return Batches(self.iterable[:1], caller=self.caller)
        return None

    def once(
        self, order: Array | None = None, start: int = 0, share: Share | None = None
    ) -> Iterator[Batch]:
        """Iterate over the data once, from batch `start` on, with the rows of arrays in `order`.

        `share` selects rows of each batch; an iterable's batches are taken as they come.
        """
        if self.iterable is not None:
            yield from self._given(self.iterable, start)
            return
        if self.rows is not None:
            order = self.rows if order is None else self.rows[order]
        for k in range(start, self.count or 0):
            i = k * self.size
            stop = min(i + self.size, self.samples or 0)
            mine = share(stop - i) if share else slice(0, stop - i)
            rows: Any = slice(i + mine.start, i + mine.stop)
            rows = rows if order is None else order[rows]
            yield _take(self.x, rows), _take(self.t, rows), _take(self.weights, rows)

    def _given(self, batches: Iterable[Any], start: int) -> Iterator[Batch]:
        i = -1
        for i, batch in enumerate(batches):
            if i >= start:
                yield as_batch(f"{self.caller}: batch {i}", batch)
        if i < 0:
            raise ValueError(
                f"{self.caller}: the iterable yields no batch; a generator runs only once, "
                "so pass a list or an object whose __iter__ starts anew"
            )


def as_rows(name: str, value: Any) -> Any:
    """Return an array or a nested tuple of arrays of real numbers, each with at least one row."""
    if isinstance(value, tuple):
        if not value:
            raise ValueError(f"{name} is an empty tuple, expected an array of shape (N, ...)")
        return tuple(as_rows(f"{name}[{i}]", part) for i, part in enumerate(value))
    try:
        found = as_array(value)
    except ValueError as error:
        several = isinstance(value, list) and any(np.ndim(part) for part in value[:1])
        hint = "; several inputs or targets are a tuple of arrays" if several else ""
        raise ValueError(f"{name} is not an array of numbers{hint}: {error}") from None
    check_real(found, name)
    if found.ndim == 0 or len(found) == 0:
        hint = "; a tuple is several arrays" if name.endswith("]") else ""
        raise ValueError(
            f"{name} has shape {found.shape}, expected (N, ...) with at least one row{hint}"
        )
    return found


def as_array(value: Any) -> Any:
    """Return `value` as an array; one of another library with NumPy's protocols is kept."""
    kept = is_elsewhere(value) or isinstance(value, np.ma.MaskedArray)
    return value if kept else np.asarray(value)


def as_batch(name: str, value: Any, *, arrays: bool = True) -> Batch:
    """Return ``(x, t)`` or ``(x, t, weights)`` as a batch of three, with arrays in it."""
    if not (isinstance(value, tuple | list) and len(value) in (2, 3)):
        came = f"{type(value).__name__} of {len(value)}" if isinstance(value, tuple) else ""
        raise TypeError(
            f"{name} is a {came or type(value).__name__}, expected a pair (x, t) or (x, t, weights)"
        )
    x, t, weights = value if len(value) == 3 else (*value, None)
    if not arrays:
        return x, t, weights
    return (
        map_leaves(as_array, x),
        map_leaves(as_array, t),
        weights if weights is None else as_array(weights),
    )


def joined(parts: list[Any]) -> Any:
    """Return the values of several batches as one, leaf by leaf."""
    if isinstance(parts[0], tuple):
        return tuple(joined(list(same)) for same in zip(*parts, strict=True))
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([np.atleast_1d(part) for part in parts])


def cast(value: Any, home: Any) -> Any:
    """Return floats in the dtype of `home`, a net's parameter, and all arrays where it is."""
    if isinstance(value, tuple):
        return tuple(cast(part, home) for part in value)
    if home is None or getattr(getattr(value, "dtype", None), "kind", "") != "f":
        return placed(value, home)
    return moved(value.astype(home.dtype, copy=False), home)


def placed(value: Any, home: Any) -> Any:
    """Return all arrays of a nested tuple where `home` is, a net's parameter."""
    return value if home is None else map_leaves(lambda leaf: moved(leaf, home), value)


def home_of(layers: list[Any]) -> Any:
    """Return the first parameter of some layers, frozen or not; None if they have none."""
    for layer in layers:
        if params := own_params(layer):
            return params[0]
    return None


def nonfinite(array: Array) -> str:
    """Say where the first NaN or infinite value is and what it is, or return ``""``.

    It reads the rows in blocks, so that little of a `numpy.memmap` is in memory at a time.
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


def _take(value: Any, rows: Any) -> Any:
    """``array[rows]`` of each array; `take` is a fifth faster where it does not copy the whole."""
    if isinstance(value, tuple):
        return tuple(_take(part, rows) for part in value)
    if value is None or isinstance(rows, slice):
        return value if value is None else value[rows]
    if type(value) is np.ndarray and value.flags.c_contiguous and value.flags.aligned:
        return value.take(rows, axis=0)
    return value[moved(rows, value)]
