"""The gradient by its definition: change one number at a time and see how f changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .base import Array


def numerical_gradient(f: Callable[[Array], Any], x: Array) -> Array:
    """``df/dx_i = (f(x + h e_i) - f(x - h e_i)) / 2h``, for each number ``x_i`` of `x` in turn.

    Parameters
    ----------
    f : function of an array
        Returns a number. It is called twice per number of `x`.
    x : float array
        Where to differentiate. It is changed in place while f runs and restored afterwards, so x
        may be a parameter ``net[0].W``, with an f that ignores its argument.

    Returns
    -------
    array of the shape of x
        The gradient.

    Raises
    ------
    TypeError
        If x is not a float array, or f does not return a number.
    ValueError
        If x is read-only.

    Notes
    -----
    The step is ``h = eps^(1/3) max(1, |x_i|)``, 6e-6 in float64, which balances the two errors: the
    truncation error, which grows as ``h^2``, and the rounding error, which grows as ``1/h``. In
    float32 about three digits are correct. `check_gradients` chooses the step for each number,
    allows for kinks and compares with ``backward``.

    Examples
    --------
    >>> numerical_gradient(lambda x: (x**2).sum(), np.array([3.0, 4.0])).round(6)
    array([6., 8.])
    """
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        came = f"an array of {x.dtype}" if isinstance(x, np.ndarray) else repr(x)
        raise TypeError(f"numerical_gradient: x is {came:.60}, expected an array of floats")
    if not x.flags.writeable:
        raise ValueError("numerical_gradient: x is read-only; give a copy, x.copy()")
    step = float(np.finfo(x.dtype).eps) ** (1 / 3)
    grad = np.empty_like(x)
    for i in np.ndindex(x.shape):
        here = x[i]
        h = step * max(1.0, abs(float(here)))
        try:
            x[i] = here + h
            right, high = float(x[i]), _number(f(x))
            x[i] = here - h
            left, low = float(x[i]), _number(f(x))
        finally:
            x[i] = here
        grad[i] = (high - low) / (right - left)  # the step as it was after rounding
    return grad


def _number(value: Any) -> float:
    if np.ndim(value):
        raise TypeError(
            f"numerical_gradient: f returned an array of shape {np.shape(value)}, expected a number"
        )
    return float(value)
