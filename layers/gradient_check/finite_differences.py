"""Finite differences: the slope of a function along a line, its error, and kinks and jumps."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import comb
from typing import NamedTuple

import numpy as np

from ..base import Array

# Powers of ten of the step, relative to the scale of x.
_STEPS = (-15.0, -13.5, -12.0, -10.5, -9.0, -7.5, -6.0, -4.5, -3.0, -1.5, 0.0, 1.5, 3.0, 6.0, 9.0)
_SHARP = 1e-4  # an estimate is sharp if its error is at most this fraction of the sizes seen
_CLOSE = 5e-4  # the error that counts, at most, where the smallest steps agree with the claim
_JUMP = 1e6  # ratio of a jump to what rounding explains
_EPS = float(np.finfo(np.float64).eps)


class Line(NamedTuple):
    """The outputs, each times its dout, as a function `at` of a number near `x`; `here` at x."""

    at: Callable[[float], Array]
    x: float
    scale: float
    here: Array


class Slope(NamedTuple):
    """A slope from one step size, by Richardson's extrapolation from the step and its half.

    `rough` is how far the two are apart, `error` that of the slope, `noise` what rounding of the
    outputs may do. `low` and `high` are the sums of the lesser and of the greater of each output's
    two one-sided slopes; all subgradients lie between.
    """

    step: float
    value: float = 0.0
    rough: float = np.inf
    error: float = np.inf
    noise: float = np.inf
    low: float = 0.0
    high: float = 0.0
    is_kink: bool = False
    blur: float = 0.0  # what rounding inside the function adds to the gap

    @property
    def gap(self) -> float:
        return max(self.high - self.low - 3 * self.blur, 0.0)

    def blurred(self, noise: Noise) -> Slope:
        """Return it with the error that rounding inside the function leaves."""
        rounding = max(self.noise, 4 * noise.of_sum / self.step)
        error = self.rough + rounding
        return self._replace(error=error, noise=rounding, blur=4 * noise.of_each / self.step)


class Noise(NamedTuple):
    """Standard deviations of rounding inside a function: of its sum, and those of each output."""

    of_sum: float = 0.0
    of_each: float = 0.0


def quick(line: Line) -> tuple[float, float]:
    """Return the slope by the step that suits most functions, and the difference of its sides."""
    step = 1e-5 * line.scale
    before, after = line.x - step, line.x + step
    with np.errstate(all="ignore"):
        try:
            low, high = line.at(before), line.at(after)
        except (ValueError, ArithmeticError):  # outside the domain
            return 0.0, np.inf
        gap = float(np.abs(high - line.here - (line.here - low)).sum()) / step
        return float((high - low).sum()) / (after - before), gap


def slope(line: Line, step: float) -> Slope:
    """Return the slope at `x` by central differences and Richardson's extrapolation to step 0.

    Richardson (1911), The approximate arithmetical solution by finite differences of physical
    problems, https://doi.org/10.1098/rsta.1911.0009
    """
    x, here = line.x, line.here
    places = [x + k * step for k in (-1.0, -0.5, 0.5, 1.0)]
    with np.errstate(all="ignore"):
        try:
            a, b, c, d = (line.at(place) for place in places)
            far = float((d - a).sum()) / (places[3] - places[0])
            near = float((c - b).sum()) / (places[2] - places[1])
        except (ValueError, ArithmeticError):  # outside the domain, or no step at all
            return Slope(step)
        left, right = (here - b) / (x - places[1]), (c - here) / (places[2] - x)
        value = (4 * near - far) / 3
        changed = np.abs(d[d != a]).sum() + np.abs(here).max(initial=0.0)
        noise = float(4 * _EPS * changed / step)
        low, high = float(np.minimum(left, right).sum()), float(np.maximum(left, right).sum())
    rough = abs(near - far)
    # The next order is smaller by about the ratio of this one; at worst it is no better.
    order = rough * min(1.0, 10 * rough / abs(value)) if value else rough
    found = Slope(step, value, rough, order + noise, noise, low, high)
    return found if np.isfinite(found).all() else Slope(step)


def judge(line: Line, claim: float, rtol: float) -> tuple[str, Slope, Noise]:
    """Compare the `claim` of a slope at `x` with finite differences over many step sizes.

    Returns whether it is "right", "wrong", a subgradient at a "kink", beside a "jump", or
    "undecided"; the slope that decided, and how the function rounds.

    A claim that agrees with the smallest steps is right. Else the smallest step that rounding
    leaves sharp decides, for a larger one may reach over a kink; larger ones that agree with it
    sharpen it. A kink is recognized by one-sided slopes whose difference stays when the step
    shrinks; any claim between them is right there. If the difference grows, the function jumps.
    """
    line, scale = _of_reached(line), line.scale
    noise = rounding(line)
    tried = [slope(line, scale * 10.0**power) for power in _STEPS]
    tried = [s.blurred(noise) for s in tried if np.isfinite(s.error)]
    if not tried:
        return "undecided", Slope(scale), noise
    sharp = _sharp(tried, scale, claim)
    limit = min(0.01 * scale, sharp[0].step if sharp else np.inf)
    near = [(fine, coarse) for fine, coarse in pairwise(tried) if coarse.step < limit]
    # At a jump the sides differ more the smaller the step, beyond rounding.
    jumps = any(f.gap > max(5 * c.gap, _JUMP * f.noise) for f, c in near[-1:])
    best = _chained(tried)
    close = best._replace(error=min(best.error, _CLOSE * abs(best.value)))
    is_local = best.step < 0.01 * scale or not jumps
    i = tried.index(best)
    fine, coarse = tried[max(i - 1, 0)], best
    has_sides = _has_sides(fine, coarse, abs(best.value))
    if is_local and agrees(close, claim, rtol) and not has_sides:
        return "right", best, noise
    if jumps:
        return "jump", near[-1][0], noise
    if not sharp:
        best = min((s for s in tried if s.step <= scale), key=lambda s: s.error, default=tried[0])
        if best.error > 0.01 * max(abs(best.value), abs(claim)):
            return "undecided", best, noise
    elif sharp[0].step < 0.01 * scale and (kink := _kink(tried, sharp, claim, rtol)):
        return *kink, noise
    else:
        best = _chained(sharp)
    return "right" if agrees(best, claim, rtol) else "wrong", best, noise


def rounding(line: Line) -> Noise:
    """Estimate rounding inside the function from a table of differences at tiny spacings.

    Differences of a high order cancel what is smooth and leave noise, larger by the binomial
    coefficients. Hamming (1973), Numerical Methods for Scientists and Engineers, chapter 6.
    """
    found = [Noise()]
    changed = 0  # spacings that did; below the rounding inside nothing does, which is no lack of it
    for spacing in (1e-13, 1.3e-12, 1.7e-11, 2e-10, 3e-9, 4e-8):
        if changed == 3:
            break
        sides = []
        for side in (1, -1):  # a kink or jump at x is no noise
            step = side * spacing * line.scale
            try:
                rows = np.array([line.at(line.x + k * step) for k in range(1, 8)])
            except (ValueError, ArithmeticError):
                continue
            changed += side == 1 and bool((rows != rows[0]).any())
            with np.errstate(all="ignore"):
                table = np.diff(rows - rows[0], n=4, axis=0)
                each = np.sqrt(np.square(table).mean(axis=0) / comb(8, 4)).sum()
                of_sum = np.sqrt(np.square(table.sum(axis=1)).mean() / comb(8, 4))
            if np.isfinite(each):
                sides.append(Noise(float(of_sum), float(each)))
        found += [min(sides)] if sides else []
    return Noise(*map(max, zip(*found, strict=True)))


def _sharp(tried: list[Slope], scale: float, claim: float) -> list[Slope]:
    """Return those whose error is small compared with the slopes seen, including kinks."""
    seen = [abs(claim)]
    for s in tried:
        size = max(abs(s.value), s.gap * (s.step < 0.01 * scale))
        if s.error <= _SHARP * size:
            seen.append(size)
        elif s.step <= scale:
            seen.append(abs(s.value) + 11 * s.rough - 10 * s.error)
    # Large steps see nothing of a bounded function: only the slopes they do find count.
    return [
        s for s in tried if s.error <= _SHARP * (max(seen) if s.step <= scale else abs(s.value))
    ]


def _chained(tried: list[Slope]) -> Slope:
    """Return the best from the smallest step on, up to the first that contradicts the best."""
    best, *larger = tried
    for s in larger:
        if abs(s.value - best.value) > 2 * (s.error + best.error):
            break
        best = min(best, s, key=lambda s: s.error)
    return best


def _kink(
    tried: list[Slope], sharp: list[Slope], claim: float, rtol: float
) -> tuple[str, Slope] | None:
    """Judge by the second step that is sharp, if the sides differ there; the first is noisier."""
    i = tried.index(sharp[0])
    i += tried[i + 1 : i + 2] == sharp[1:2]
    fine, coarse = tried[i], tried[min(i + 1, len(tried) - 1)]
    if not _has_sides(fine, coarse, max(abs(claim), abs(fine.value))):
        return None
    slack = rtol * max(abs(fine.low), abs(fine.high)) + 10 * fine.error + fine.blur
    inside = fine.low - slack <= claim <= fine.high + slack
    return "kink" if inside else "wrong", fine._replace(is_kink=True)


def _has_sides(fine: Slope, coarse: Slope, size: float) -> bool:
    """Whether the sides differ beyond the error, and not because they curve, as at larger steps."""
    return fine.gap > max(30 * fine.error, 1e-3 * size, 0.3 * coarse.gap)


def agrees(found: Slope, claim: float, rtol: float) -> bool:
    """Whether `claim` is the slope found, within ten times its error."""
    return abs(claim - found.value) <= rtol * max(abs(claim), abs(found.value)) + 10 * found.error


def _of_reached(line: Line) -> Line:
    """Return the line of the outputs that change with x; the rounding of others is no noise."""
    reached = np.zeros(line.here.shape, bool)
    with np.errstate(all="ignore"):
        for step in (1e-3, -1e-3, 1.0, -1.0, 1e9, -1e9):
            try:
                reached |= line.at(line.x + step * line.scale) != line.here
            except (ValueError, ArithmeticError):
                continue
    if not reached.any():
        return line
    return line._replace(at=lambda t: line.at(t)[reached], here=line.here[reached])
