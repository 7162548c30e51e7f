"""Gradient clipping, by the norm of all gradients or by value."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...layers.base import Array
from ...layers.checks import as_positive


def clip_gradients(
    grads: Sequence[Array], max_norm: float, norm: float | None = None
) -> list[Array]:
    """``g * min(1, max_norm / |g|)``, where ``|g|`` is the norm of all gradients together.

    Pascanu, Mikolov, Bengio (2013), On the difficulty of training recurrent neural networks,
    https://proceedings.mlr.press/v28/pascanu13.html

    Parameters
    ----------
    grads : sequence of arrays
        All gradients of a step.
    max_norm : float
        Maximum norm, positive.
    norm : float, optional
        ``|g|``, if it is known.

    Returns
    -------
    list of arrays
        The same arrays if their norm is small enough, else new ones: `grads` stays as it is.

    Raises
    ------
    FloatingPointError
        If a gradient holds a NaN or an infinite value.
    ValueError, TypeError
        If `max_norm` is not a positive number.
    """
    max_norm = as_positive(max_norm, "clip_gradients: max_norm")
    norm = global_norm(grads) if norm is None else norm
    return list(grads) if norm <= max_norm else [g * (max_norm / norm) for g in grads]


def global_norm(grads: Sequence[Array]) -> float:
    """Return the norm of all gradients together, ``|g|``, or raise as `clip_gradients`."""
    norm = math.sqrt(sum(float(np.vdot(g, g)) for g in grads))
    if not math.isfinite(norm):
        for k, g in enumerate(grads):
            wrong = np.argwhere(~np.isfinite(g))
            if len(wrong):
                place = tuple(map(int, wrong[0]))
                raise FloatingPointError(f"clip_gradients: gradient {k} is {g[place]} at {place}")
        norm = math.sqrt(sum(float(np.square(g, dtype=np.float64).sum()) for g in grads))
    return norm


def clip_values(grads: Sequence[Array], max_value: float) -> list[Array]:
    """Clip each element of each gradient to ``[-max_value, max_value]``.

    Parameters
    ----------
    grads : sequence of arrays
        The gradients, which stay as they are.
    max_value : float
        The limit, positive.

    Returns
    -------
    list of arrays
        New arrays.

    Raises
    ------
    ValueError, TypeError
        If `max_value` is not a positive number.
    """
    max_value = as_positive(max_value, "clip_values: max_value")
    return [np.clip(g, -max_value, max_value) for g in grads]
