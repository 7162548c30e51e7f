"""The slope of a function along one line, what it is worth, and kinks and jumps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .base import Array

Line = Callable[[float], Array]  # the outputs, each times its dout, at a place on the line

# Powers of ten of the step, relative to the scale of x.
_STEPS = (-12.0, -10.5, -9.0, -7.5, -6.0, -4.5, -3.0, -1.5, 0.0, 1.5, 3.0, 6.0, 9.0)
_SHARP = 1e-4  # an estimate is sharp if its error is at most this share of the sizes seen
_EPS = float(np.finfo(np.float64).eps)


class Slope(NamedTuple):
    """A slope from one step size, its likely error, and the slopes on both sides.

    `noise` is the part of `error` that rounding explains. `low` and `high` are the sums of the
    lesser and of the greater of each output's two one-sided slopes; all subgradients lie between.
    """

    value: float
    error: float
    noise: float
    low: float
    high: float
    step: float
    is_kink: bool = False


class Verdict(NamedTuple):
    """Whether a claimed slope is right, wrong, one of a kink's, or cannot be told: it jumps."""

    kind: str  # "right", "wrong", "kink" or "jump"
    slope: Slope


def slope(line: Line, x: float, step: float) -> Slope:
    """Return the slope at `x` by central differences and Richardson's extrapolation to step 0.

    Richardson (1911), The approximate arithmetical solution by finite differences of physical
    problems, https://doi.org/10.1098/rsta.1911.0009
    """
    places = [x + k * step for k in (-1.0, -0.5, 0.5, 1.0)]
    with np.errstate(all="ignore"):
        here = line(x)
        a, b, c, d = (line(place) for place in places)
        far = float((d - a).sum()) / (places[3] - places[0])
        near = float((c - b).sum()) / (places[2] - places[1])
        left, right = (here - b) / (x - places[1]), (c - here) / (places[2] - x)
        value = (4 * near - far) / 3
        rough = abs(near - far)
        # The next order is smaller by about the ratio of this one; at worst it is no better.
        order = rough * min(1.0, 10 * rough / abs(value)) if value else rough
        changed = np.abs(d[d != a]).sum() + np.abs(here).max(initial=0.0)
        noise = float(4 * _EPS * changed / step)
        low, high = float(np.minimum(left, right).sum()), float(np.maximum(left, right).sum())
    found = Slope(value, order + noise, noise, low, high, step)
    return found if np.isfinite(found).all() else Slope(0.0, np.inf, np.inf, 0.0, 0.0, step)


def judge(line: Line, x: float, scale: float, claim: float, rtol: float) -> Verdict:
    """Compare the `claim` of a slope at `x` with finite differences over many step sizes.

    The smallest step that rounding leaves sharp decides, for a larger one may reach over a kink;
    larger ones that agree with it sharpen it. A kink is told by one-sided slopes whose difference
    stays when the step shrinks; there, any claim between them is right. Where the difference grows
    instead, the function jumps.
    """
    tried = sorted(_slopes(line, x, scale), key=lambda s: s.step)
    if not tried:
        return Verdict("jump", Slope(0.0, np.inf, np.inf, 0.0, 0.0, scale))
    sharp = _sharp(tried, scale, claim)
    limit = min(0.01 * scale, sharp[0].step if sharp else np.inf)
    near = [(fine, coarse) for fine, coarse in pairwise(tried) if coarse.step < limit]
    if near and _grows(*near[-1]):
        return Verdict("jump", near[-1][0])
    if sharp:
        first = sharp[0]
        coarser = tried[min(tried.index(first) + 1, len(tried) - 1)]
        gap, wider = first.high - first.low, coarser.high - coarser.low
        if gap > max(100 * first.noise, 1e-5 * abs(first.value), 0.3 * wider):
            slack = rtol * max(abs(first.low), abs(first.high)) + 10 * first.noise
            inside = first.low - slack <= claim <= first.high + slack
            kind = "jump" if _grows(first, coarser) else "kink" if inside else "wrong"
            return Verdict(kind, first._replace(is_kink=True))
        agreeing = (s for s in sharp if abs(s.value - first.value) <= 10 * (s.error + first.error))
        best = min(agreeing, key=lambda s: s.error)
    else:
        # Far steps see little of a function that is bounded: an error counts against what it tells.
        least = 1e-10 * float(np.abs(line(x)).sum()) / scale or 1e-300
        best = min(tried, key=lambda s: s.error / max(abs(s.value), abs(claim), least))
    if not agrees(best, claim, rtol):
        return Verdict("wrong", best)
    vague = best.error > max(0.01 * max(abs(best.value), abs(claim)), 1e5 * best.noise)
    return Verdict("jump" if vague else "right", best)


def _sharp(tried: list[Slope], scale: float, claim: float) -> list[Slope]:
    """Return those whose error is small beside the slopes that can be told, kinks included."""
    sizes = [max(abs(s.value), (s.high - s.low) * (s.step < 0.01 * scale)) for s in tried]
    told = [size for s, size in zip(tried, sizes, strict=True) if s.error <= _SHARP * size]
    return [s for s in tried if s.error <= _SHARP * max([abs(claim), *told])]


def _grows(fine: Slope, coarse: Slope) -> bool:
    """Whether the sides differ more the smaller the step, as at a jump, beyond rounding."""
    gap = fine.high - fine.low
    return gap > max(5 * (coarse.high - coarse.low), 100 * fine.noise)


def agrees(found: Slope, claim: float, rtol: float) -> bool:
    """Whether `claim` is the slope found, within ten times its error."""
    return abs(claim - found.value) <= rtol * max(abs(claim), abs(found.value)) + 10 * found.error


def _slopes(line: Line, x: float, scale: float) -> Iterator[Slope]:
    """Yield the slopes over the ladder of steps; a step that leaves the domain is skipped."""
    for power in _STEPS:
        try:
            found = slope(line, x, scale * 10.0**power)
        except (ValueError, ArithmeticError):
            continue
        if np.isfinite(found.error):
            yield found
