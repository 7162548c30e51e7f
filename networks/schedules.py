"""Learning rates as functions of the step, which counts from 0."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def constant(lr: float) -> Schedule:
    """``lr`` at every step."""
    return lambda step: lr


def step_decay(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """``lr * factor^(step // every)``: a staircase."""
    _check_steps("step_decay", "every", every)
    return lambda step: lr * factor ** (step // every)


def exponential(lr: float, factor: float, every: int = 1) -> Schedule:
    """``lr * factor^(step / every)``: the staircase made smooth."""
    _check_steps("exponential", "every", every)
    return lambda step: lr * factor ** (step / every)


def cosine(lr: float, steps: int, final: float = 0.0) -> Schedule:
    """``final + (lr - final) * (1 + cos(pi * step / steps)) / 2``, and `final` from `steps` on.

    Loshchilov, Hutter (2017), SGDR: Stochastic Gradient Descent with Warm Restarts,
    https://arxiv.org/abs/1608.03983
    """
    _check_steps("cosine", "steps", steps)

    def schedule(step: int) -> float:
        return final + (lr - final) * (1 + math.cos(math.pi * min(step / steps, 1))) / 2

    return schedule


def warm_up(schedule: Schedule, steps: int) -> Schedule:
    """``schedule(step) * (step + 1) / steps`` over the first `steps`, then `schedule` itself.

    Goyal et al. (2017), Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour,
    https://arxiv.org/abs/1706.02677
    """
    _check_steps("warm_up", "steps", steps)
    return lambda step: schedule(step) * min(1, (step + 1) / steps)


def _check_steps(function: str, name: str, steps: int) -> None:
    if steps < 1:
        raise ValueError(f"{function}: {name} is {steps}, expected at least 1")
