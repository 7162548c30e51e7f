"""What a constructor's numbers must be; ``what`` names the layer and the argument in errors."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np


def as_number(value: Any, what: str) -> float:
    """Return `value` as a Python float: a NumPy float64 would turn float32 arrays into float64."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{what} is {value!r}, expected a number")
    return float(value)


def as_count(value: Any, what: str) -> int:
    """Return `value`, an integer of at least 1; True is none."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{what} is {value!r}, expected an integer of at least 1")
    return int(value)
