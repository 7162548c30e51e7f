"""Types and defaults of command-line arguments; what does not fit is a usage error, exit code 2."""

from __future__ import annotations

import argparse
import math
import os


def positive_int(text: str) -> int:
    """Return the integer that `text` holds, which must be at least 1."""
    number = int(text)  # argparse words a ValueError itself
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number


def positive_float(text: str) -> float:
    """Return the number that `text` holds, which must be finite and above 0."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{number} is not a finite number above 0")
    return number


def seed(text: str) -> int:
    """Return the seed that `text` holds: an integer from 0 to 2^32 - 1, as NumPy takes them."""
    number = int(text)
    if not 0 <= number < 2**32:
        raise argparse.ArgumentTypeError(f"{number} is not in 0 ... 4294967295")
    return number


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
