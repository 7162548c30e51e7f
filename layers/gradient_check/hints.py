"""Hints: how a wrong gradient is related to the correct one, at the end of the error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np

from ..base import Array


def likely_relation(
    gradient: Array,
    places: Sequence[tuple[int, ...]],
    effects: Array,
    dout: Array,
    rows: int,
    others: Mapping[str, Array],
) -> str:
    """Return the likely mistake in words, or ``""``.

    `gradient` is what backward says, checked at k `places`; `effects`, of shape (k, m), is what
    each of these does to each of m outputs, and `dout`, of shape (m,), comes from above. The batch
    has `rows`, or 0. `others` are the gradients of other inputs and parameters by name.
    """
    claims = _at(gradient, places)
    slopes = effects @ dout
    if not gradient.any():
        return "zero: is it missing?"
    if not slopes.any():
        return "forward does not change with it: is a copy used, or nothing?"
    if _close(claims, effects.sum(axis=1)):
        return "that of an upstream gradient of ones: is dout forgotten?"
    if factor := _factor(claims, slopes, gradient.size, len(dout), rows):
        return factor
    for axes in permutations(range(gradient.ndim)) if gradient.ndim <= 4 else ():
        turned = gradient.transpose(axes)
        if turned.shape == gradient.shape and _close(_at(turned, places), slopes):
            return "transposed?"
    for name, other in others.items():
        if other.shape == gradient.shape and _close(_at(other, places), slopes):
            return f"that is {name}: are the two swapped?"
    if rows > 1 and len(dout) % rows == 0:
        of_rows = (effects * dout).reshape(len(effects), rows, -1).sum(axis=2)
        for row, which in ((0, "first"), (-1, "last")):
            if _close(claims, of_rows[:, row]):
                return f"that of the {which} row alone: a missing sum over the batch?"
    if len(places) == gradient.size and _close(np.sort(claims), np.sort(slopes)):
        return "the right numbers in other places: another axis or order?"
    return ""


def shape_relation(came: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """Return the likely mistake behind a gradient of the wrong shape, in words, or ``""``."""
    if len(came) > 1 and came == expected[::-1]:
        return "transposed?"
    try:
        if np.broadcast_shapes(came, expected) == came:
            return "a missing sum over the batch or the axes that were broadcast?"
    except ValueError:
        pass
    if np.prod(came) == np.prod(expected):
        return "the right size: a missing reshape?"
    if len(came) == len(expected) == 1:
        return "a sum over another axis?"
    return ""


def _factor(claims: Array, slopes: Array, size: int, outputs: int, rows: int) -> str:
    """Name the constant factor between the two, if there is one."""
    greatest = np.abs(slopes).argmax()
    ratio = float(claims[greatest] / slopes[greatest])
    if not _close(claims, ratio * slopes):
        return ""
    counts = {
        size: "the number of elements",
        outputs: "the number of outputs",
        rows: "the batch size",
    }
    for count, name in counts.items():
        if count > 1 and np.isclose(ratio, 1 / count, rtol=1e-3):
            return f"about {ratio:.3g}x, 1 over {name}: a factor, or a mean instead of a sum?"
        if count > 1 and np.isclose(ratio, count, rtol=1e-3):
            return f"about {ratio:.3g}x, {name}: a factor, or a sum instead of a mean?"
    if np.isclose(ratio, -1, rtol=1e-3):
        return "the sign?"
    simple = any(np.isclose(k * ratio, round(k * ratio), rtol=1e-3) for k in (1, 2, 3))
    if len(claims) == 1 and not (simple and 0 < abs(ratio) < 100):
        return ""  # one number always has some factor
    if np.isclose(ratio, 1, rtol=1e-3):
        return "nearly right: a small term missing, or low precision?"
    return f"about {ratio:.3g}x: a factor{' and the sign' if ratio < 0 else ''}?"


def _at(array: Array, places: Sequence[tuple[int, ...]]) -> Array:
    return np.array([array[place] for place in places], np.float64)


def _close(a: Array, b: Array) -> bool:
    return bool(np.allclose(a, b, rtol=1e-3, atol=1e-5 * np.abs(b).max(initial=0.0)))
