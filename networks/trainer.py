"""The training loop: forward, loss, backward, step."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers.base import Array
from .network import params_only


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

    def train_step(self, x: Array, t: Array) -> float:
        """One step on one batch; return its loss before the step."""
        y = self.net.forward(x)
        value: float = self.loss.forward(y, t)
        params_only(self.net)(self.loss.backward())
        self.optimizer.step(self.net.params, self.net.grads)
        return value
