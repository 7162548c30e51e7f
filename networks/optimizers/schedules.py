"""Learning rates as functions of the step, which counts from 0; they can be pickled."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from ...layers.checks import as_count, as_number, as_positive
from ..protocols import Schedule


def constant(lr: float) -> Schedule:
    """``lr`` at every step.

    Parameters
    ----------
    lr : float
        Learning rate.

    Returns
    -------
    function of the step
        The learning rate.
    """
    return partial(_constant, as_number(lr, "constant: lr"))


def _constant(lr: float, step: int) -> float:
    return lr


def step_decay(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """``lr * factor^(step // every)``: a staircase.

    Parameters
    ----------
    lr : float
        Learning rate at the start.
    every : int
        Steps between two reductions.
    factor : float, default 0.1
        Factor of a reduction.

    Returns
    -------
    function of the step
        The learning rate.
    """
    lr, factor = as_number(lr, "step_decay: lr"), as_number(factor, "step_decay: factor")
    every = as_count(every, "step_decay: every")
    return partial(_step_decay, lr, every, factor)


def _step_decay(lr: float, every: int, factor: float, step: int) -> float:
    return lr * factor ** (step // every)


def exponential(lr: float, factor: float, every: int = 1) -> Schedule:
    """``lr * factor^(step / every)``: exponential decay.

    Parameters
    ----------
    lr : float
        Learning rate at the start.
    factor : float
        Factor that is reached after `every` steps; positive.
    every : int, default 1
        Number of these steps.

    Returns
    -------
    function of the step
        The learning rate.

    Raises
    ------
    ValueError
        If `factor` is not positive.
    """
    lr = as_number(lr, "exponential: lr")
    factor = as_positive(factor, "exponential: factor")  # a root of a negative one is complex
    every = as_count(every, "exponential: every")
    return partial(_exponential, lr, factor, every)


def _exponential(lr: float, factor: float, every: int, step: int) -> float:
    return lr * factor ** (step / every)


def cosine(lr: float, steps: int, final: float = 0.0) -> Schedule:
    """``final + (lr - final) * (1 + cos(pi * step / steps)) / 2``, and `final` from `steps` on.

    Loshchilov, Hutter (2017), SGDR: Stochastic Gradient Descent with Warm Restarts,
    https://arxiv.org/abs/1608.03983

    Parameters
    ----------
    lr : float
        Learning rate at the start.
    steps : int
        Steps until `final` is reached.
    final : float, default 0.0
        Learning rate at the end.

    Returns
    -------
    function of the step
        The learning rate.
    """
    lr, final = as_number(lr, "cosine: lr"), as_number(final, "cosine: final")
    steps = as_count(steps, "cosine: steps")
    return partial(_cosine, lr, steps, final)


def _cosine(lr: float, steps: int, final: float, step: int) -> float:
    return final + (lr - final) * (1 + math.cos(math.pi * min(step / steps, 1))) / 2


def warm_up(schedule: Schedule, steps: int) -> Schedule:
    """``schedule(step) * (step + 1) / steps`` over the first `steps`, then `schedule` itself.

    Goyal et al. (2017), Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour,
    https://arxiv.org/abs/1706.02677

    Parameters
    ----------
    schedule : function of the step
        The schedule to begin slowly.
    steps : int
        Steps of the warm-up.

    Returns
    -------
    function of the step
        The learning rate.
    """
    steps = as_count(steps, "warm_up: steps")
    return partial(_warm_up, schedule, steps)


def _warm_up(schedule: Schedule, steps: int, step: int) -> float:
    return schedule(step) * min(1, (step + 1) / steps)


def reduce_on_plateau(
    factor: float = 0.1,
    patience: int = 10,
    monitor: str = "validation_loss",
    *,
    min_delta: float = 0.0,
) -> Callable[[Any], None]:
    """``lr = lr * factor`` after each `patience` epochs without a lower value of `monitor`.

    Pass it to `Trainer.fit` as ``after_epoch``; the Trainer must not have a schedule too. It has no
    state but reads the trainer's history, so that a resumed training repeats it.

    Parameters
    ----------
    factor : float, default 0.1
        Factor of a reduction, between 0 and 1.
    patience : int, default 10
        Epochs to wait since the lowest value, and since the last reduction.
    monitor : str, default "validation_loss"
        Column of the history, whose lowest value is the best.
    min_delta : float, default 0.0
        Smallest decrease that counts as an improvement.

    Returns
    -------
    function of the Trainer
        What `Trainer.fit` calls after each epoch.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range; later, if the Trainer has a schedule.
    """
    name = "reduce_on_plateau"
    factor = as_number(factor, f"{name}: factor")
    min_delta = as_number(min_delta, f"{name}: min_delta")
    if not 0 < factor < 1:
        raise ValueError(f"{name}: factor is {factor}, expected a number between 0 and 1")
    patience = as_count(patience, f"{name}: patience")

    def after_epoch(trainer: Any) -> None:
        if trainer.schedule is not None:
            raise ValueError(f"{name}: the Trainer has a schedule, which sets lr too")
        least, waited = math.inf, 0
        for value in trainer.history[monitor]:
            waited = 0 if waited == patience else waited  # after a reduction
            least, waited = (value, 0) if value < least - min_delta else (least, waited + 1)
        if waited == patience:
            trainer.optimizer.lr *= factor

    return after_epoch
