"""Types and defaults of command-line arguments; what does not fit is a usage error, exit code 2."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable
from typing import TypeVar

N = TypeVar("N", int, float)


def positive_int(text: str) -> int:
    """Return the integer that `text` holds, which must be at least 1."""
    return _number(int, text, lambda n: n >= 1, "an integer of at least 1")


def digits(text: str) -> int:
    """Return the number of digits that `text` holds: int64 can add terms of at most 18."""
    return _number(int, text, lambda n: 1 <= n <= 18, "an integer from 1 to 18")


def positive_float(text: str) -> float:
    """Return the number that `text` holds, which must be finite and above 0."""
    return _number(float, text, lambda x: 0 < x < math.inf, "a finite number above 0")


def nonnegative_float(text: str) -> float:
    """Return the number that `text` holds, which must be finite and at least 0."""
    return _number(float, text, lambda x: 0 <= x < math.inf, "a finite number of at least 0")


def seed(text: str) -> int:
    """Return the seed that `text` holds: an integer from 0 to 2^32 - 1, as NumPy takes them."""
    return _number(int, text, lambda n: 0 <= n < 2**32, "an integer from 0 to 4294967295")


def _number(make: Callable[[str], N], text: str, fits: Callable[[N], bool], expected: str) -> N:
    try:
        number = make(text)
    except ValueError:
        pass
    else:
        if fits(number):
            return number
    raise argparse.ArgumentTypeError(f"{text} is not {expected}")


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
