"""Learning rates as functions of the step, which counts from 0."""

from __future__ import annotations

import math
from collections.abc import Callable

from ...layers.checks import as_count, as_number

Schedule = Callable[[int], float]


def constant(lr: float) -> Schedule:
    """``lr`` at every step."""
    lr = as_number(lr, "constant: lr")
    return lambda step: lr


def step_decay(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """``lr * factor^(step // every)``: a staircase."""
    lr, factor = as_number(lr, "step_decay: lr"), as_number(factor, "step_decay: factor")
    every = as_count(every, "step_decay: every")
    return lambda step: lr * factor ** (step // every)


def exponential(lr: float, factor: float, every: int = 1) -> Schedule:
    """``lr * factor^(step / every)``: the staircase made smooth."""
    lr, factor = as_number(lr, "exponential: lr"), as_number(factor, "exponential: factor")
    every = as_count(every, "exponential: every")
    return lambda step: lr * factor ** (step / every)


def cosine(lr: float, steps: int, final: float = 0.0) -> Schedule:
    """``final + (lr - final) * (1 + cos(pi * step / steps)) / 2``, and `final` from `steps` on.

    Loshchilov, Hutter (2017), SGDR: Stochastic Gradient Descent with Warm Restarts,
    https://arxiv.org/abs/1608.03983
    """
    lr, final = as_number(lr, "cosine: lr"), as_number(final, "cosine: final")
    steps = as_count(steps, "cosine: steps")

    def schedule(step: int) -> float:
        return final + (lr - final) * (1 + math.cos(math.pi * min(step / steps, 1))) / 2

    return schedule


def warm_up(schedule: Schedule, steps: int) -> Schedule:
    """``schedule(step) * (step + 1) / steps`` over the first `steps`, then `schedule` itself.

    Goyal et al. (2017), Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour,
    https://arxiv.org/abs/1706.02677
    """
    steps = as_count(steps, "warm_up: steps")
    return lambda step: schedule(step) * min(1, (step + 1) / steps)
