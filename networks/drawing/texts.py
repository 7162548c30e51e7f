"""The text of a value in a picture: its numbers if there are few, else a summary."""

from __future__ import annotations

from typing import Any

import numpy as np


def forward_lines(data: Any) -> list[str]:
    """Return the lines for a value: its numbers, or shape, mean and standard deviation."""
    array = np.asarray(data)
    if lines := _few(array):
        return lines
    if array.dtype.kind != "f" or not array.size:
        return [f"{array.shape}", f"{array.dtype}"]
    with np.errstate(all="ignore"):
        return [f"{array.shape}", f"{number(array.mean(), 3)} ± {number(array.std(), 3)}"]


def backward_lines(grad: Any) -> list[str]:
    """Return the lines for a gradient: its numbers, or its Euclidean norm."""
    if grad is None:
        return []
    array = np.asarray(grad)
    return _few(array) or [f"|grad| {number(norm(array), 3)}"]


def norm(*arrays: Any) -> float:
    """Return the Euclidean norm of all numbers together."""
    with np.errstate(all="ignore"):
        return float(np.sqrt(sum(np.square(np.asarray(a, np.float64)).sum() for a in arrays)))


def number(value: Any, digits: int = 4) -> str:
    """Return a number rounded to some digits, integers in full.

    >>> number(220.00000000000003), number(3.3000000000000003), number(784000), number(-1e-9)
    ('220', '3.3', '784000', '-1e-09')
    """
    if isinstance(value, int | np.integer | np.bool_):
        return str(value)
    text = f"{value:.{digits}g}"
    return f"{value:.0f}" if "e+0" in text and abs(value) < 1e7 else text


def full(data: Any, most: int) -> str:
    """Return all the digits, or of an array of more than `most` numbers the first and last."""
    if data is None:
        return "none"
    array = np.asarray(data)
    if array.size <= most:
        return str(array.tolist())
    first, last = (array.flat[k].item() for k in (0, array.size - 1))
    return f"{array.shape} {array.dtype} [{first!r}, ..., {last!r}]"


def _few(array: Any) -> list[str]:
    """Return the numbers row by row, if they fit in few rows."""
    if array.ndim == 0:
        return [number(array.item())]
    rows = array.reshape(-1, array.shape[-1]) if array.size else array
    if array.ndim > 2 or not 0 < array.size <= 6 or len(rows) > 4:
        return []
    return ["[" + ", ".join(number(x, 3) for x in row.tolist()) + "]" for row in rows]
