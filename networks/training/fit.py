"""The loop over the epochs, and its position, from which `fit` resumes even within an epoch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ...layers.base import Array
from ...layers.tree import layers_of
from ..mean_loss import MeanLoss, rows_of
from .batches import Batch, Batches, as_batch, cast, home_of
from .evaluation import Metrics, evaluate
from .interruption import Interrupted, Interruption
from .progress import Progress, epoch_line

if TYPE_CHECKING:
    from .trainer import Trainer


@dataclass
class Run:
    """An unfinished `Trainer.fit`.

    Attributes
    ----------
    samples, batch_size, shuffle, drop_last, share
        The data and how they are split: None and None for an iterable of batches, and the fraction
        that is held out for validation, or None.
    epoch : int
        Epochs done.
    batch : int
        Batches done of the next epoch.
    sums : list of [float, float, float]
        The loss of these batches, as `MeanLoss` adds it up.
    split_state, order_state : dict or None
        State of the Generator before it drew the held-out rows, and this epoch's order; None
        before that.
    best_value, waited, best_weights
        For early stopping: the best value, the epochs since, and the net's state at that time.
    stopped : bool
        Whether a StopIteration has ended the fit.
    """

    samples: int | None
    batch_size: int | None
    shuffle: bool
    drop_last: bool = False
    share: float | None = None
    epoch: int = 0
    batch: int = 0
    sums: list[list[float]] = field(default_factory=list)
    split_state: dict[str, Any] | None = field(default=None, repr=False)
    order_state: dict[str, Any] | None = field(default=None, repr=False)
    best_value: float = math.inf
    waited: int = 0
    best_weights: dict[str, Array] = field(default_factory=dict, repr=False)
    stopped: bool = False

    def check(self) -> None:
        """Raise ValueError if a value is not possible."""
        sizes = [n for n in (self.samples, self.batch_size) if n is not None]
        counts = [self.epoch, self.batch, self.waited, *sizes]
        if not (
            all(type(n) is int and 0 <= n < 2**63 for n in counts)
            and all(type(b) is bool for b in (self.shuffle, self.drop_last, self.stopped))
            and isinstance(self.share, float | None)
            and isinstance(self.sums, list)
            and all(isinstance(s, list) and list(map(type, s)) == [float] * 3 for s in self.sums)
            and isinstance(self.best_value, float)
            and isinstance(self.split_state, dict | None)
            and isinstance(self.order_state, dict | None)
        ):
            raise ValueError(f"the unfinished fit is not possible: {self!s:.500}")

    def resume(self, old: Run | None) -> Run:
        """Return the old run, which must be over the same data, or without one this run."""
        if old is None:
            return self
        for name in ("samples", "batch_size", "shuffle", "drop_last", "share"):
            mine, theirs = getattr(self, name), getattr(old, name)
            if mine != theirs:
                raise ValueError(
                    f"Trainer.fit: {name} is {mine}, but {theirs} in the unfinished fit; "
                    "set trainer.unfinished = None to start anew"
                )
        return old

    def split(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw the rows to train on and the rows to hold out, or draw the same ones again."""
        if self.split_state is None:
            self.split_state = dict(rng.bit_generator.state)
        else:
            rng = _at(rng, self.split_state)
        rows = rng.permutation(self.samples or 0)
        held_out = min(max(1, round((self.share or 0.0) * len(rows))), len(rows) - 1)
        return np.sort(rows[held_out:]), np.sort(rows[:held_out])

    def order(self, rng: np.random.Generator, samples: int | None) -> Array | None:
        """Draw the epoch's order of the samples, or, in the middle of the epoch, draw it again."""
        if samples is None or self.batch_size is None or not self.shuffle:
            return None
        if self.order_state is None:
            self.order_state = dict(rng.bit_generator.state)
        else:
            rng = _at(rng, self.order_state)
        return rng.permutation(samples)

    def end_epoch(self) -> None:
        """Start the next epoch."""
        self.epoch += 1
        self.batch, self.sums, self.order_state = 0, [], None

    def compare(self, value: float, min_delta: float, net: Any) -> None:
        """Keep the net's state if this value is less by more than `min_delta`, else count."""
        if value < self.best_value - min_delta:
            self.best_value, self.waited, self.best_weights = value, 0, net.state_dict()
        else:
            self.waited += 1


def _at(rng: np.random.Generator, state: dict[str, Any]) -> np.random.Generator:
    rng = copy.deepcopy(rng)
    rng.bit_generator.state = state
    return rng


@dataclass(eq=False, repr=False)
class Fit:
    """One call of `Trainer.fit`: its arguments, checked, and the loop over them."""

    trainer: Trainer
    run: Run
    data: Batches
    sets: dict[str, Batches]  # the validation sets by name
    metrics: Metrics | None
    transform: Callable[..., Any] | None
    epochs: int
    patience: int | None
    min_delta: float
    monitor: tuple[str, int]  # the column, and -1 if its maximum is the best
    after_step: Callable[[Any], Any] | None
    after_epoch: Callable[[Any], Any] | None
    checkpoint: Any
    checkpoint_every: int | None

    def loop(self, shown: Progress, ctrl_c: Interruption) -> None:
        """Train epoch after epoch until the last, or until patience or a function ends it."""
        run, trainer = self.run, self.trainer
        while (
            run.epoch < self.epochs
            and not run.stopped
            and (self.patience is None or run.waited < self.patience)
        ):
            start = perf_counter()
            self._train_epoch(shown, ctrl_c)
            if run.stopped:
                return
            row = self._end_epoch(start)
            if run.epoch % -(-self.epochs // 100) == 0 or run.epoch == self.epochs:
                shown.line(epoch_line(row, run.epoch, self.epochs))
            trainer.ranks.check_equal(trainer.net)
            self._call(self.after_epoch)
            if self.checkpoint is not None:
                trainer.save(self.checkpoint)
            if trainer.ranks.interrupted(ctrl_c.noted):
                raise Interrupted

    def _train_epoch(self, shown: Progress, ctrl_c: Interruption) -> None:
        run, trainer, ranks = self.run, self.trainer, self.trainer.ranks
        home = home_of(layers_of(trainer.net))
        order = ranks.first(lambda: run.order(trainer.rng, self.data.samples))
        loss = MeanLoss(run.sums)
        batches = self._batches(order)
        one_rank_may_fail = not (self.data.iterable is None and self.transform is None)
        for x, t, weights in ranks.steps(batches) if one_rank_may_fail else batches:
            trainer.unfinished = None  # an error from here on may leave half a step
            value = trainer.train_step(cast(x, home), t, weights)
            trainer.history.step_losses.append(value)
            parts, rows = ranks.parts(trainer.loss, value, t)
            loss.add(parts, value, rows)
            run.batch += 1
            trainer.unfinished = run
            shown.step()
            self._call(self.after_step)
            if self.checkpoint_every and trainer.steps % self.checkpoint_every == 0:
                trainer.save(self.checkpoint)
            if run.stopped:
                if self.checkpoint is not None:
                    trainer.save(self.checkpoint)
                return
            if trainer.ranks.interrupted(ctrl_c.noted):
                raise Interrupted

    def _batches(self, order: Array | None) -> Iterator[Batch]:
        """Yield this rank's rows of the rest of the epoch's batches, transformed."""
        trainer = self.trainer
        for x, t, weights in self.data.once(order, self.run.batch, trainer.ranks.share):
            if self.transform is not None and rows_of(t):
                trainer.unfinished = None  # an error may come after some draws
                if order is None:  # these are the caller's own arrays, or views of them
                    x, t = copy.deepcopy((x, t))
                x, t, changed = as_batch(
                    "Trainer.fit: the result of transform", self.transform(x, t, trainer.rng)
                )
                weights = weights if changed is None else changed
            yield x, t, weights

    def _end_epoch(self, start: float) -> dict[str, float]:
        """Evaluate, and add the epoch's row to the history."""
        run, trainer = self.run, self.trainer
        row: dict[str, float] = {
            "epoch": len(trainer.history.epochs) + 1,
            "step": len(trainer.history.step_losses),
        }
        row |= MeanLoss(run.sums).values()
        for name, batches in self.sets.items():
            found = evaluate(trainer.net, trainer.loss, batches, self.metrics, trainer.ranks)
            row |= {f"{name}_{column}": value for column, value in found.items()}
        row = trainer.ranks.first(lambda: row | {"seconds": perf_counter() - start})
        trainer.unfinished = None  # until the run and the history agree again
        if self.patience is not None:
            column, sign = self.monitor
            if column not in row:
                raise ValueError(f"Trainer.fit: monitor is {column!r}, the epoch has {list(row)}")
            run.compare(sign * row[column], self.min_delta, trainer.net)
        trainer.history.epochs.append(row)
        run.end_epoch()
        trainer.unfinished = run
        return row

    def _call(self, function: Callable[[Any], Any] | None) -> None:
        """Call a user's function, which may change the net's mode or freeze a part of it."""
        if function is None:
            return

        def stops() -> bool:
            try:
                function(self.trainer)
            except StopIteration:
                return True
            return False

        self.run.stopped = self.trainer.ranks.any(stops)
        self.trainer.net.train()
