"""Values in nested tuples: an array, a number, or a tuple of values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Path = tuple[int, ...]  # where a leaf stands in a nested tuple


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield the leaves of a nested tuple, each with its place."""
    if isinstance(value, tuple):
        for i, part in enumerate(value):
            yield from leaves(part, (*path, i))
    else:
        yield path, value


def map_leaves(function: Callable[[Any], Any], value: Any) -> Any:
    """Apply `function` to each leaf of a nested tuple."""
    if isinstance(value, tuple):
        return tuple(map_leaves(function, part) for part in value)
    return function(value)


def kind(value: Any) -> str:
    """Return "f" if a value holds an array of floats, for which a backward returns a gradient."""
    if type(value) is np.ndarray:
        return value.dtype.kind
    if isinstance(value, tuple):
        return "f" if any(kind(part) == "f" for part in value) else "-"
    return getattr(getattr(value, "dtype", None), "kind", "-")


def replaced(value: Any, path: Path, leaf: Any) -> Any:
    """Return the nested tuple with another leaf at `path`."""
    if not path:
        return leaf
    i, *rest = path
    return (*value[:i], replaced(value[i], tuple(rest), leaf), *value[i + 1 :])


def at(path: Path) -> str:
    """Return a place as it is written: ``[0][1]``, or ``""`` for a value that is no tuple."""
    return "".join(f"[{i}]" for i in path)


def check_douts(owner: object, dout: Any, n: int) -> None:
    """Raise ValueError, which names the owner, unless `dout` is a tuple of n gradients."""
    if not isinstance(dout, tuple) or len(dout) != n:
        came = f"a tuple of {len(dout)}" if isinstance(dout, tuple) else type(dout).__name__
        raise ValueError(f"{owner!r}: dout is {came}, expected a tuple of {n} gradients")
