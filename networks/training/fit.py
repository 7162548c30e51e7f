"""How far a `fit` has come: what it takes to go on in the middle of an epoch."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...layers.base import Array


@dataclass
class Run:
    """An unfinished `Trainer.fit`.

    Attributes
    ----------
    samples, batch_size, shuffle
        The data and how they are cut; None and None for an iterable of batches.
    epoch : int
        Epochs done.
    batch : int
        Batches done of the epoch after them.
    loss : float
        Sum of these batches' losses, each times its rows if the loss is a mean.
    rows : int
        Sum of their rows.
    order_state : dict or None
        State of the Generator before it drew this epoch's order; None before that.
    best_loss, waited, best_weights
        For early stopping: the least validation loss, the epochs since, the net's state then.
    """

    samples: int | None
    batch_size: int | None
    shuffle: bool
    epoch: int = 0
    batch: int = 0
    loss: float = 0.0
    rows: int = 0
    order_state: dict[str, Any] | None = None
    best_loss: float = math.inf
    waited: int = 0
    best_weights: dict[str, Array] = field(default_factory=dict)

    def check(self) -> None:
        """Raise ValueError if a value is none that a run can have."""
        sizes = [n for n in (self.samples, self.batch_size) if n is not None]
        counts = [self.epoch, self.batch, self.rows, self.waited, *sizes]
        if not (
            all(type(n) is int and 0 <= n < 2**63 for n in counts)
            and self.shuffle in (True, False)
            and isinstance(self.loss, float)
            and isinstance(self.best_loss, float)
            and isinstance(self.order_state, dict | None)
        ):
            raise ValueError(f"no run can be {self}")

    def resume(self, old: Run | None) -> Run:
        """Return the old run, which must be over the same data, or without one this run."""
        if old is None:
            return self
        for name in ("samples", "batch_size", "shuffle"):
            mine, theirs = getattr(self, name), getattr(old, name)
            if mine != theirs:
                raise ValueError(
                    f"Trainer.fit: {name} is {mine}, but {theirs} in the fit to go on with; "
                    "set trainer.unfinished = None to begin anew"
                )
        return old

    def order(self, rng: np.random.Generator) -> Array | None:
        """Draw the epoch's order of the samples, or, in the middle of the epoch, draw it again."""
        if self.samples is None or self.batch_size is None or not self.shuffle:
            return None
        if self.order_state is None:
            self.order_state = dict(rng.bit_generator.state)
        else:
            rng = copy.deepcopy(rng)
            rng.bit_generator.state = self.order_state
        return rng.permutation(self.samples)

    def add(self, loss: float, rows: int) -> None:
        """Note one batch more."""
        self.batch += 1
        self.loss += loss
        self.rows += rows

    def end_epoch(self) -> None:
        """Begin the next epoch."""
        self.epoch += 1
        self.batch, self.loss, self.rows, self.order_state = 0, 0.0, 0, None

    def compare(self, loss: float, net: Any) -> None:
        """Keep the net's state if this validation loss is the least, else count the epoch."""
        if loss < self.best_loss:
            self.best_loss, self.waited, self.best_weights = loss, 0, net.state_dict()
        else:
            self.waited += 1
