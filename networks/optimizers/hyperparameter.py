"""Hyperparameters: checked, and converted to Python floats."""

from __future__ import annotations

import math
from typing import Any

from ...layers.checks import as_number


def in_range(value: Any, what: str, below: float = math.inf, least: float = 0) -> float:
    """Return `value` as a Python float if it is at least `least`, finite and below `below`."""
    number = as_number(value, what)
    if not least <= number < below:
        limit = "and finite" if below == math.inf else f"and below {below:g}"
        raise ValueError(f"{what} is {number}, expected at least {least:g} {limit}")
    return number


def hyperparameter(below: float = math.inf, least: float = 0) -> Any:
    """Return a class attribute that makes the instance's a float, from `least` and below `below`.

    By default it is at least 0 and finite.
    """
    return _Hyperparameter(below, least)


class _Hyperparameter:
    """Checks what is assigned and leaves it in the instance's ``__dict__`` under its own name.

    There is no ``__get__``: Python then reads the attribute from that ``__dict__`` without a call,
    as quickly as any other. Without one mypy would infer this class as the attribute's type, so
    `hyperparameter` returns Any, and the classes annotate their attributes.
    """

    def __init__(self, below: float, least: float) -> None:
        self.below, self.least = below, least

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __set__(self, owner: Any, value: Any) -> None:
        what = f"{type(owner).__name__}: {self.name}"
        vars(owner)[self.name] = in_range(value, what, self.below, self.least)
