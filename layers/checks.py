"""What a constructor's arguments must be; ``what`` names the layer and the argument in errors."""

from __future__ import annotations

from inspect import Parameter, signature
from numbers import Integral, Real
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Pair = tuple[int, int]


def as_number(value: Any, what: str) -> float:
    """Return `value`, a real number, as a float; a NumPy float64 would make float32 float64."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{what} is {value!r}, expected a number")
    return float(value)


def as_positive(value: Any, what: str) -> float:
    """Return `value`, which must be a number above 0, as a float."""
    number = as_number(value, what)
    if not number > 0:
        raise ValueError(f"{what} is {value}, expected a positive number")
    return number


def as_count(value: Any, what: str) -> int:
    """Return `value`, which must be an integer of at least 1 and not a bool."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{what} is {value!r}, expected an integer of at least 1")
    return int(value)


def as_index(value: Any, what: str, expected: str = "an integer") -> int:
    """Return `value`, which must be an integer of any kind and sign, and not a bool."""
    try:
        if not isinstance(value, bool):
            return index(value)
    except TypeError:
        pass
    raise TypeError(f"{what} is {value!r}, expected {expected}")


def as_generator(rng: Any, what: str) -> np.random.Generator:
    """Return `rng`, which must be a Generator: no seed, and no global state."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{what} is {rng!r}, expected a numpy.random.Generator such as np.random.default_rng(0)"
        )
    return rng


def as_float_dtype(dtype: DTypeLike, what: str) -> np.dtype[Any]:
    """Return `dtype`, which must be a floating one: integers would truncate what is drawn."""
    found = np.dtype(dtype)
    if found.kind != "f":
        raise TypeError(f"{what} is {found}, expected a floating dtype such as np.float32")
    return found


def check_unmasked(value: Any, what: str) -> None:
    """Raise TypeError if it is a masked array: NumPy's functions would use what is masked."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{what} is a masked array, whose mask would be ignored; fill it first")


def check_real(value: Any, what: str) -> None:
    """Raise TypeError unless it is an array of real numbers, without a mask."""
    check_unmasked(value, what)
    if value.dtype.kind in "fiub":
        return
    hint, strings = "", value.dtype.kind in "UST"
    if value.dtype == object:
        strings = value.size > 0 and isinstance(value.flat[0], str)
        if value.ndim == 0:
            sparse = hasattr(value[()], "toarray")
            hint = f" (a {type(value[()]).__name__}{'; x.toarray()' * sparse})"
        elif not strings:
            hint = "; if all of them are numbers, x.astype(float)"
    if strings and what.rpartition(" ")[2].startswith("t"):
        hint = "; labels as integers: classes, t = np.unique(t, return_inverse=True)"
    raise TypeError(f"{what} is of dtype {value.dtype}, expected real numbers{hint}")


def arguments_of(function: Any) -> list[Parameter]:
    """Return the parameters of a function, none if they are not known."""
    try:
        return list(signature(function).parameters.values())
    except (TypeError, ValueError):  # not a function written in Python
        return []


def as_parameter(value: ArrayLike, name: str) -> NDArray[Any]:
    """Return `value` as a trainable array; a float array is used in place, not copied.

    Parameters
    ----------
    value : array_like
        Integers and booleans become float64.
    name : str
        What errors call it.

    Returns
    -------
    array
        The array that was given, or a new one where it had to be converted.

    Raises
    ------
    TypeError
        If it does not hold real numbers, or is a masked array.
    """
    array: Any = value if hasattr(value, "__array_function__") else np.asarray(value)
    check_real(array, name)
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def pair(owner: str, name: str, value: Any, least: int) -> Pair:
    """Return an integer twice, or a pair of integers, which must be at least `least`."""
    try:
        first, second = (value, value) if np.ndim(value) == 0 else value
        result = index(first), index(second)
    except (TypeError, ValueError):
        result = least - 1, least - 1
    if min(result) < least:
        raise ValueError(
            f"{owner}: {name} is {value!r}, expected an integer of at least {least}, "
            "or a pair (rows, columns) of them"
        )
    return result
