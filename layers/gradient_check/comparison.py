"""Comparison of backward with finite differences, element by element."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..base import Array
from ..nested import at, leaves, replaced
from ..protocols import LayerLike
from .behaviour import Observation, check_backward_params, check_repetition, observe, rounding_of
from .claims import Claim, element, is_float, title
from .errors import GradientError
from .finite_differences import Line, Noise, Slope, agrees, judge, quick, slope
from .frozen_copy import FrozenCopy
from .hints import likely_relation

Place = tuple[int, ...]


def compare(
    layer: LayerLike,
    inputs: tuple[Any, ...],
    rng: np.random.Generator,
    max_elements: int = 100,
    rtol: float = 1e-6,
    again: bool = False,
) -> None:
    """Do what `check_gradients` says.

    If `again`, the layer was found right in other circumstances: for each array one random line
    through all its elements is enough, unless it leaves a doubt.
    """
    for path, leaf in leaves(inputs):
        where, kind = f"{title(layer)}: inputs{at(path)}", type(leaf)
        if not issubclass(kind, np.ndarray | np.generic | int | float | list | None):
            came = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
            raise TypeError(f"{where} is a {came}, expected a NumPy array or a number")
        if np.size(leaf) == 0:
            raise ValueError(f"{where} is empty, of shape {np.shape(leaf)}: nothing to check")
    seen = observe(layer, inputs, rng)
    check_repetition(layer, seen, rng)
    if not seen.claims:
        raise ValueError(f"{seen.title}: no float input and no parameter to differentiate")
    if again:
        doubts = [c for c in seen.claims if not _agrees_along_a_line(_Variable(seen, c), rng)]
        seen = seen._replace(claims=doubts)
    nudged = _nudged(seen, rng) if seen.claims else None
    _check_precision(seen, nudged)
    if _has_kinks(seen, rng, max_elements, rtol) and nudged:
        try:
            _has_kinks(nudged, rng, max_elements, rtol)
        except GradientError as error:
            raise GradientError(f"{error}, beside a kink of the inputs given") from error
    check_backward_params(seen)


def _agrees_along_a_line(variable: _Variable, rng: np.random.Generator) -> bool:
    direction = rng.standard_normal(variable.base.shape) * (variable.typical or 1.0)
    parts = variable.gradient * direction
    found = slope(variable.along(direction), 1e-3)
    size = float(np.sqrt(np.square(parts).sum()))
    if np.abs(variable.gradient).max() <= rounding_of(variable.dout):  # 0 but for rounding
        size += 1e-4 * float(np.abs(variable.here).sum())
    sharp = 10 * found.error <= 1e-6 * size and found.gap <= 0.02 * size
    return sharp and abs(float(parts.sum()) - found.value) <= 1e-6 * size


class _Variable:
    """One input or parameter of an observed copy, to be varied, and its gradient by backward."""

    def __init__(self, seen: Observation, claim: Claim) -> None:
        self.seen, self.path = seen, claim.path
        self.name, self.gradient = claim.name, claim.gradient
        self.value = (
            dict(leaves(seen.inputs))[self.path] if self.path else seen.copy.params[claim.k]
        )
        self.base = np.array(self.value, np.float64)
        self.typical = _typical(self.base)
        self.dout = _flat(seen.dout)
        self.here = _flat(seen.out) * self.dout

    def outputs(self, array: Array) -> Array:
        """Return all outputs in one row, with `array` instead of the value that was observed."""
        copy = self.seen.copy
        if self.path:
            value = array if isinstance(self.value, np.ndarray) else float(array)
            return _flat(copy.forward(*replaced(self.seen.inputs, self.path, value)))
        self.value[...] = array
        try:
            return _flat(copy.forward(*self.seen.inputs))
        finally:
            self.value[...] = self.base

    def line(self, place: Place, weights: Array | float | None = None) -> Line:
        """Return the outputs times dout, or `weights`, as a function of the element at `place`."""
        weights = self.dout if weights is None else weights

        def line(t: float) -> Array:
            moved = self.base.copy()
            moved[place] = t
            return self.outputs(moved) * weights

        x = float(self.base[place])
        size = max(abs(x), self.typical)
        return Line(line, x, size if size > 1e-200 else 1.0, self.here)

    def along(self, direction: Array) -> Line:
        """Return the outputs times dout as a function of a step in the direction."""
        return Line(
            lambda t: self.outputs(self.base + t * direction) * self.dout, 0.0, 1.0, self.here
        )

    def relation(self, places: list[Place], step: float) -> str:
        """Name the likely mistake, from what a step in each element does to each output."""
        effects = []
        for place in places:
            line = self.line(place, 1.0)
            low, high = line.x - 0.1 * step * line.scale, line.x + 0.1 * step * line.scale
            effects.append((line.at(high) - line.at(low)) / (high - low))
        lengths = [len(v) for _, v in leaves(self.seen.inputs) if np.ndim(v)]
        others = {c.name: c.gradient for c in self.seen.claims if c.name != self.name}
        return likely_relation(
            self.gradient, places, np.array(effects), self.dout, (lengths or [0])[0], others
        )


def _has_kinks(seen: Observation, rng: np.random.Generator, max_elements: int, rtol: float) -> bool:
    """Check the parameters from the last, then the inputs; return whether some are at kinks."""
    claims = sorted(seen.claims, key=lambda claim: 1 if claim.path else -claim.k)
    kinks = False
    for claim in claims:
        variable = _Variable(seen, claim)
        chosen = np.arange(claim.gradient.size)
        if len(chosen) > max_elements:
            chosen = rng.choice(len(chosen), max_elements, replace=False)
        places = [tuple(map(int, np.unravel_index(i, claim.gradient.shape))) for i in chosen]
        at_kinks = _check_elements(variable, places, rtol)
        if len(places) < claim.gradient.size and not _agrees_along_a_line(variable, rng):
            _check_together(variable, rng, rtol)
        if at_kinks.sum() > 1:
            _check_ties(variable, at_kinks, rtol)
        kinks = kinks or bool(at_kinks.any())
    return kinks


def _check_elements(variable: _Variable, places: list[Place], rtol: float) -> Array:
    """Check each element, closer where one step size does not settle it; mark those at kinks."""
    greatest = float(np.abs(variable.gradient).max(initial=0.0))
    of_lines = [np.abs(variable.gradient).max(axis=k) for k in range(variable.gradient.ndim)]
    doubts = []

    def size(place: Place) -> float:
        """Return the largest gradient of the element's row or column, whichever is smaller."""
        lines = [a[place[:k] + place[k + 1 :]] for k, a in enumerate(of_lines)]
        return float(min(lines)) if len(lines) > 1 else greatest

    def settles(found: Slope, said: float, place: Place, limit: float) -> bool:
        sharp = 10 * found.error <= limit * size(place) and found.gap <= 0.02 * size(place)
        return sharp and agrees(found, said, rtol)

    for place in places:
        said, line = float(variable.gradient[place]) + 0.0, variable.line(place)
        value, gap = quick(line)
        if not (abs(said - value) <= rtol * size(place) and gap <= 0.02 * size(place)):
            doubts.append((abs(said - value), place, line, said))
    rounded = _rounded(variable, greatest)
    at_kinks = np.zeros(variable.base.shape)
    step, noise, undecided = 1e-3, Noise(), []
    for _, place, line, said in sorted(doubts, key=lambda doubt: -doubt[0]):
        near = slope(line, step * line.scale).blurred(noise)
        if settles(near, said, place, 1e-4 if noise.of_sum else rtol):
            continue  # the step that was best for another element is good for this one too
        kind, found, noise = judge(line, said, rtol)
        step = found.step / line.scale
        at_kinks[place] = kind == "kink"
        if kind == "undecided":
            undecided.append((place, said, found))
        elif kind == "jump" or (kind == "wrong" and abs(said - found.value) > rounded):
            truth = f"finite differences say {found.value:.6g}"
            if kind == "jump":
                truth = "but forward jumps there or is too rough for finite differences"
            elif found.is_kink:
                truth = (
                    f"finite differences say from {found.low:.6g} to {found.high:.6g}, at a kink"
                )
            elif hint := variable.relation(places, step):
                truth = f"{truth} ({hint})"
            which = f"{variable.seen.title}: {variable.name}{element(place)}"
            raise GradientError(f"{which}: backward says {said:.6g}, {truth}")
    floor = max(1e-6 * greatest, 1e-12 * float(np.abs(variable.dout).sum()))
    if undecided := [u for u in undecided if max(abs(u[1]), abs(u[2].value)) > floor]:
        place, said, found = undecided[0]
        warnings.warn(
            f"{variable.seen.title}: finite differences cannot decide about {len(undecided)} of "
            f"{len(places)} elements of {variable.name}, such as {element(place)}: backward says "
            f"{said:.6g}, finite differences {found.value:.6g} with an error of {found.error:.2g}",
            RuntimeWarning,
            stacklevel=2,
        )
    return at_kinks


def _rounded(variable: _Variable, greatest: float) -> float:
    """Return what backward's own differences may lose, such as a loss's p - t.

    Times what they multiply, such as a saturated softmax's keys, but only of what is far below the
    greatest gradient, or of a gradient that is nothing else.
    """
    total = 1e-15 * float(np.abs(variable.dout).sum())
    inputs = [np.abs(leaf) for _, leaf in leaves(variable.seen.inputs) if is_float(leaf)]
    factors = [float(np.max(size, where=np.isfinite(size), initial=1.0)) for size in inputs]
    multiplied = total * max(factors, default=1.0)
    if greatest <= multiplied:
        return multiplied
    return max(1e-15 * greatest, total, min(multiplied, 1e-6 * greatest))


def _check_together(variable: _Variable, rng: np.random.Generator, rtol: float) -> None:
    """Move all elements at once, each by its size: those that were not sampled are in it too."""
    sizes = np.where(variable.base == 0, variable.typical or 1.0, np.abs(variable.base))
    direction = rng.standard_normal(variable.base.shape) * sizes
    parts = variable.gradient * direction
    said = float(parts.sum())
    kind, found, _ = judge(variable.along(direction), said, rtol)
    if kind == "wrong" and abs(said - found.value) > 1e-4 * np.sqrt(np.square(parts).sum()):
        raise GradientError(
            f"{variable.seen.title}: {variable.name} along a random direction: backward says "
            f"{said:.6g}, finite differences say {found.value:.6g}; no element that was "
            f"sampled shows it: max_elements={variable.gradient.size} takes all"
        )


def _check_ties(variable: _Variable, at_kinks: Array, rtol: float) -> None:
    """Move all elements at kinks together: those that were equal stay so, and count once."""
    said = float((variable.gradient * at_kinks).sum())
    line = variable.along(at_kinks)._replace(scale=variable.typical or 1.0)
    kind, found, _ = judge(line, said, rtol)
    if kind not in ("right", "kink", "undecided"):
        raise GradientError(
            f"{variable.seen.title}: {variable.name} at the {int(at_kinks.sum())} elements where "
            f"forward has a kink: backward says {said:.6g} in all, finite differences say "
            f"{found.value:.6g} (are ties counted more than once, or not at all?)"
        )


def _check_precision(seen: Observation, nudged: Observation | None) -> None:
    """Check that float64 is not rounded to float32 on the way; the nudged inputs are not."""
    if nudged and any(_is_rounded(leaf) for _, leaf in leaves(nudged.out)):
        raise GradientError(
            f"{seen.title}: forward returns float32 numbers in float64; is a part of it in float32?"
        )
    for claim in seen.claims:
        if _is_rounded(claim.gradient):
            raise GradientError(
                f"{seen.title}: {claim.name} holds float32 numbers in float64; is a part of "
                "backward in float32?"
            )


def _nudged(seen: Observation, rng: np.random.Generator) -> Observation | None:
    """Observe the layer slightly away from its inputs and parameters; None where that fails."""

    def nudge(leaf: Any) -> Any:
        size = _typical(np.asarray(leaf)) or 1.0
        return leaf + 1e-3 * size * rng.standard_normal(np.shape(leaf))

    copy, inputs = FrozenCopy(seen.copy.layer), seen.inputs
    for claim in seen.claims:
        if claim.path:
            inputs = replaced(inputs, claim.path, nudge(dict(leaves(inputs))[claim.path]))
        else:
            copy.params[claim.k][...] = nudge(copy.params[claim.k])
    try:
        with np.errstate(all="ignore"):
            return observe(copy.layer, inputs, rng)
    except (GradientError, ValueError, ArithmeticError):
        return None  # outside the domain


def _is_rounded(value: Any) -> bool:
    """Whether all are float32 numbers, and neither integers nor numbers of a few bits only."""
    array = np.asarray(value, np.float64)
    with np.errstate(all="ignore"):
        is_float32 = array.astype(np.float32) == array
        # What is left when larger numbers cancel is a multiple of their last bit.
        unit = float(np.spacing(np.float32(np.abs(array).max(initial=0.0)))) or 1.0
        cancelled = array.size > 1 and (array / unit % 1 == 0).all()
    is_plain = (np.frexp(array)[0] * 2**11 % 1 == 0) | (array % 1 == 0)
    return bool(is_float32.all() and not is_plain.all() and not cancelled)


def _typical(array: Array) -> float:
    """Return the root mean square, without overflow."""
    greatest = float(np.abs(array).max(initial=0.0))
    return greatest * float(np.sqrt(np.square(array / greatest).mean())) if greatest else 0.0


def _flat(value: Any) -> Array:
    return np.concatenate([np.ravel(np.asarray(leaf, np.float64)) for _, leaf in leaves(value)])
