"""The training loop: forward, loss, backward, step."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..layers.base import Array
from .history import History
from .metrics import accuracy
from .network import params_only

Metric = Callable[[Array, Array], float]


class Trainer:
    """Trains a net on mini-batches.

    Parameters
    ----------
    net : Layer
        The net, trained in place.
    loss : Layer
        A layer of two inputs, such as `chainrule.layers.CrossEntropyLoss`.
    optimizer : object
        Has ``step(params, grads)``.
    rng : numpy.random.Generator
        Shuffles the data.
    """

    def __init__(self, net: Any, loss: Any, optimizer: Any, rng: np.random.Generator) -> None:
        self.net, self.loss, self.optimizer, self.rng = net, loss, optimizer, rng
        self.history = History()
        self._backward = params_only(net)

    def train_step(self, x: Array, t: Array) -> float:
        """One step on one batch; return its loss before the step."""
        y = self.net.forward(x)
        value: float = self.loss.forward(y, t)
        self._backward(self.loss.backward())
        self.optimizer.step(self.net.params, self.net.grads)
        return value

    def fit(
        self,
        x: ArrayLike,
        t: ArrayLike,
        *,
        epochs: int,
        batch_size: int | None = None,
        validation: tuple[ArrayLike, ArrayLike] | None = None,
        metrics: Sequence[Metric] | None = None,
        progress: bool = True,
    ) -> History:
        """Train for so many epochs, each in a fresh order of the samples; return the history.

        Parameters
        ----------
        x, t : arrays of shape (N, ...)
            Inputs and targets.
        epochs : int
            Times to go through the data.
        batch_size : int, optional
            Samples a step; None takes all at once, in the order they have.
        validation : pair of arrays, optional
            Inputs and targets on which the net is evaluated after each epoch.
        metrics : sequence of functions ``metric(y, t)``, optional
            Evaluated on the validation data; by default `accuracy` if the targets are integers.
        progress : bool, default True
            Print a line an epoch to stderr.
        """
        x, t = np.asarray(x), np.asarray(t)
        self.net.train()
        for _ in range(epochs):
            start, losses, rows = perf_counter(), 0.0, 0
            order = None if batch_size is None else self.rng.permutation(len(x))
            for i in range(0, len(x), batch_size or len(x)):
                if order is None:
                    x_batch, t_batch = x, t
                else:
                    chosen = order[i : i + (batch_size or 0)]
                    x_batch, t_batch = x[chosen], t[chosen]
                value = self.train_step(x_batch, t_batch)
                self.history.step_losses.append(value)
                losses += value * len(x_batch)
                rows += len(x_batch)
            row: dict[str, float] = {
                "epoch": len(self.history.epochs) + 1,
                "step": len(self.history.step_losses),
                "loss": losses / rows,
            }
            if validation is not None:
                found = self.evaluate(*validation, metrics=metrics)
                row |= {f"validation_{name}": value for name, value in found.items()}
            row["seconds"] = perf_counter() - start
            self.history.epochs.append(row)
            if progress:
                shown = ", ".join(f"{name} {value:.5g}" for name, value in row.items())
                print(shown, file=sys.stderr, flush=True)
        return self.history

    def evaluate(
        self,
        x: ArrayLike,
        t: ArrayLike,
        *,
        batch_size: int = 1000,
        metrics: Sequence[Metric] | None = None,
    ) -> dict[str, float]:
        """Return the loss and the metrics over `x` and `t`, batch by batch in evaluation mode."""
        x, t = np.asarray(x), np.asarray(t)
        if metrics is None:
            metrics = (accuracy,) if t.dtype.kind in "iu" else ()
        totals = {"loss": 0.0} | {metric.__name__: 0.0 for metric in metrics}
        for i in range(0, len(x), batch_size):
            t_batch = t[i : i + batch_size]
            y = self.net.predict(x[i : i + batch_size])
            totals["loss"] += self.loss.forward(y, t_batch) * len(t_batch)
            for metric in metrics:
                totals[metric.__name__] += metric(y, t_batch) * len(t_batch)
        return {name: total / len(x) for name, total in totals.items()}

    def predict(self, x: ArrayLike, *, batch_size: int = 1000) -> Array:
        """Return the net's output for `x`, batch by batch in evaluation mode."""
        x = np.asarray(x)
        return np.concatenate(
            [self.net.predict(x[i : i + batch_size]) for i in range(0, len(x), batch_size)]
        )
