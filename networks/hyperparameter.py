"""Hyperparameters: Python floats, whatever kind of number they came as."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..layers._numbers import as_number


def as_float(value: Any, what: str) -> float:
    """Return a number, an array of shape () too, as a Python float; `what` names it in errors."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    return as_number(value, what)


def in_range(value: Any, what: str, below: float = math.inf) -> float:
    """Return `value` as a Python float if it is at least 0 and below `below`."""
    number = as_float(value, what)
    if not 0 <= number < below:
        limit = "" if below == math.inf else f" and below {below:g}"
        raise ValueError(f"{what} is {number}, expected at least 0{limit}")
    return number


class Hyperparameter:
    """An attribute that is a Python float, at least 0 and below `below`, whenever it is set."""

    def __init__(self, below: float = math.inf) -> None:
        self.below = below

    def __set_name__(self, owner: type, name: str) -> None:
        self.name, self._kept = name, f"_{name}"

    def __get__(self, owner: Any, kind: type | None = None) -> float:
        return getattr(owner, self._kept)

    def __set__(self, owner: Any, value: Any) -> None:
        what = f"{type(owner).__name__}: {self.name}"
        setattr(owner, self._kept, in_range(value, what, self.below))
