"""Learning rate range test: the loss while the learning rate grows from step to step."""

from __future__ import annotations

import copy
from itertools import chain, count
from typing import TYPE_CHECKING, Any

import numpy as np

from ...layers.checks import as_count, as_number
from ...layers.tree import layers_of
from .batches import Batches, cast, home_of
from .figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .trainer import Trainer


def learning_rate_range(
    trainer: Trainer,
    x: Any,
    t: Any,
    *,
    batch_size: int,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
) -> LearningRateCurve:
    """Train a copy for some steps while the learning rate grows by a constant factor.

    The copy starts from the trainer's state; the trainer stays as it is. The test ends early if the
    loss is not finite or exceeds four times the lowest. Smith (2017), Cyclical Learning Rates for
    Training Neural Networks, https://arxiv.org/abs/1506.01186

    Parameters
    ----------
    trainer : Trainer
        Its schedule is not used.
    x, t : arrays of shape (N, ...) or nested tuples of them
        Inputs and targets.
    batch_size : int
        Rows per step.
    lowest, highest : float, default 1e-6 and 10
        The learning rates of the first and the last step.
    steps : int, default 100
        Number of steps, at least 2.

    Returns
    -------
    LearningRateCurve
        Its ``rates`` and ``losses``; it has ``plot()``.

    Raises
    ------
    ValueError, TypeError
        If the rates do not increase, or a number is out of range.
    """
    caller = "learning_rate_range"
    lowest = as_number(lowest, f"{caller}: lowest")
    highest = as_number(highest, f"{caller}: highest")
    steps = as_count(steps, f"{caller}: steps")
    if not 0 < lowest < highest or steps < 2:
        raise ValueError(
            f"{caller}: {steps} steps from {lowest} to {highest}, expected at least 2 steps from a "
            "positive number to a larger one"
        )
    data = Batches(x, t, batch_size, caller=caller)
    trial = copy.deepcopy(trainer)
    trial.schedule = None
    trial.net.train()
    curve = LearningRateCurve([], [])
    home = home_of(layers_of(trial.net))
    rates = np.geomspace(lowest, highest, steps).tolist()
    epochs = (data.once(trial.rng.permutation(data.samples or 0)) for _ in count())
    for rate, (x, t, _) in zip(rates, chain.from_iterable(epochs), strict=False):
        trial.optimizer.lr = rate
        try:
            with np.errstate(all="ignore"):
                value = trial.train_step(cast(x, home), t)
        except FloatingPointError:
            break
        curve.rates.append(rate)
        curve.losses.append(value)
        if value > 4 * min(curve.losses) > 0:
            break
    return curve


class LearningRateCurve:
    """The loss of each step, before it, and its learning rate; Jupyter shows the plot.

    Attributes
    ----------
    rates, losses : list of float
        One number per step.
    """

    def __init__(self, rates: list[float], losses: list[float]) -> None:
        self.rates, self.losses = rates, losses

    def plot(self) -> Figure:
        """Draw the loss over the learning rate: choose one well before it rises."""
        figure = new_figure("LearningRateCurve.plot", 5, 3.5)
        axes = figure.subplots()
        axes.plot(self.rates, self.losses)
        axes.set_xscale("log")
        axes.set(xlabel="learning rate", ylabel="loss of the step")
        return figure

    def _repr_png_(self) -> bytes | None:
        try:
            return self.plot()._repr_png_()  # type: ignore[attr-defined]
        except ImportError:
            return None

    def __repr__(self) -> str:
        if not self.rates:
            return "LearningRateCurve(no finite loss)"
        best = min(range(len(self.losses)), key=self.losses.__getitem__)
        return (
            f"LearningRateCurve({len(self.rates)} steps from {self.rates[0]:.3g} to "
            f"{self.rates[-1]:.3g}, lowest loss {self.losses[best]:.4g} at {self.rates[best]:.3g})"
        )
