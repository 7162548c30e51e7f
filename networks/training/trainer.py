"""The training loop: forward, loss, backward, step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from time import perf_counter
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ...layers.base import Array
from ...layers.checks import as_count
from ...layers.undeclared import Watch
from ..gradients import NonFiniteLossError, value_and_grads
from ..optimizers.clipping import clip_gradients, clip_values
from ..optimizers.penalties import L1, L2
from ..optimizers.schedules import Schedule
from .arguments import check_fit, check_saving, check_trainer
from .batches import Batch, Batches, as_pair, as_rows, cast, dtype_of
from .checkpoint import load_training, save_training
from .diagnosis import find_nonfinite
from .evaluation import Metric, averages, evaluate
from .fit import Run
from .heap import keep_freed_memory
from .history import History
from .interruption import Interrupted, Interruption
from .progress import Progress, epoch_line
from .random_state import Rewind

Transform = Callable[[Array, Array, "np.random.Generator"], Batch]
Path = str | PathLike[str]


class Trainer:
    """Trains a net on mini-batches.

    Parameters
    ----------
    net : Layer
        The net, trained in place.
    loss : Layer
        A layer of two inputs, such as `chainrule.layers.CrossEntropyLoss`; its forward returns a
        number.
    optimizer : object
        Has ``step(params, grads)``, which moves the parameters in place; for a schedule also
        ``lr``.
    rng : numpy.random.Generator
        Shuffles the samples, and is handed to the transform.
    schedule : function of the step, optional
        Gives ``optimizer.lr`` before each step, counted from 0; see `chainrule.networks.schedules`.
    penalty : L1 or L2, optional
        Added to the loss.
    max_norm, max_value : float, optional
        The gradients go through `clip_gradients`, through `clip_values`.

    Attributes
    ----------
    steps : int
        Steps done.
    history : History
        What `fit` has recorded.
    unfinished : Run or None
        Where a `fit` stopped that Ctrl-C or a kill ended: the next goes on there. Set it to None
        to begin anew.
    """

    def __init__(
        self,
        net: Any,
        loss: Any,
        optimizer: Any,
        rng: np.random.Generator,
        *,
        schedule: Schedule | None = None,
        penalty: L1 | L2 | None = None,
        max_norm: float | None = None,
        max_value: float | None = None,
    ) -> None:
        limits = {"max_norm": max_norm, "max_value": max_value}
        check_trainer(net, loss, optimizer, rng, schedule, penalty, **limits)
        self.net, self.loss, self.optimizer, self.rng = net, loss, optimizer, rng
        self.schedule, self.penalty = schedule, penalty
        self.max_norm, self.max_value = max_norm, max_value
        self.steps = 0
        self.history = History()
        self.unfinished: Run | None = None
        self._checked = False  # whether a step was watched for undeclared parameters
        keep_freed_memory()

    def train_step(self, x: Any, t: Any) -> float:
        """One step on one batch; return its loss before the step, the penalty included.

        Raises
        ------
        FloatingPointError
            If the loss is NaN or infinite. It names the step, from 1, and what was so first: the
            batch, a parameter, a layer or the loss. A gradient that is not finite under a loss
            that is shows in the next step, or here with `max_norm`.

        Notes
        -----
        After any error before the optimizer's step, the parameters, the buffers (such as
        BatchNorm's averages) and the Generators of net and loss are as they were.
        """
        rewind = Rewind(self.net, self.loss)
        with rewind:  # after an error, buffers and Generators are as they were
            watch = None
            if not self._checked:
                watch, (x, t) = Watch(self.net, self.loss), copy.deepcopy((x, t))
            try:
                value, grads = value_and_grads(self.net, self.loss, x, t)
            except NonFiniteLossError as error:
                rewind.back()
                found = find_nonfinite(self.net, x, t)
                raise FloatingPointError(f"{error} at step {self.steps + 1}: {found}") from None
            if watch is not None and (undeclared := watch.undeclared()):
                raise TypeError(f"Trainer: {undeclared}")
            self._checked = True
            params = self.net.params
            if self.penalty is not None:
                value += self.penalty.value(params)
                grads = self.penalty.add_to(grads, params)
            if self.max_value is not None:
                grads = clip_values(grads, self.max_value)
            if self.max_norm is not None:
                grads = clip_gradients(grads, self.max_norm)
            if self.schedule is not None:
                self.optimizer.lr = float(self.schedule(self.steps))
        self.optimizer.step(params, grads)
        self.steps += 1
        return value

    def fit(
        self,
        x: ArrayLike | Iterable[Any],
        t: ArrayLike | None = None,
        *,
        epochs: int,
        batch_size: int | None = None,
        shuffle: bool = True,
        validation: tuple[ArrayLike, ArrayLike] | Iterable[Any] | None = None,
        metrics: Sequence[Metric] | None = None,
        transform: Transform | None = None,
        patience: int | None = None,
        checkpoint: Path | None = None,
        checkpoint_every: int | None = None,
        progress: bool = True,
    ) -> History:
        """Train, and return the history.

        Ctrl-C ends it after the step that is under way: it returns as usual, and `unfinished` tells
        where it stopped. A second Ctrl-C, or a KeyboardInterrupt that comes from elsewhere, ends it
        at once, perhaps in the middle of a step.

        Parameters
        ----------
        x, t : arrays of shape (N, ...)
            Inputs and targets; `numpy.memmap` too, of which only a batch is read at a time. Or x
            alone: an iterable of batches ``(x, t)``, gone through once an epoch.
        epochs : int
            Times to go through the data; what an unfinished fit had done counts.
        batch_size : int, optional
            Samples a step; None takes all at once, in the order they have.
        shuffle : bool, default True
            Draw a new order of the samples for each epoch.
        validation : pair of arrays or iterable of batches, optional
            What the net is evaluated on after each epoch, and on two rows of arrays before the
            first, to see that they fit.
        metrics : sequence of functions ``metric(y, t)``, optional
            Evaluated on the validation data, by default `accuracy` where the targets are labels.
            Each needs a name of its own.
        transform : function ``(x, t, rng) -> (x, t)``, optional
            Changes each batch, such as by augmentation; what it draws, it draws from `rng`. The
            arrays it gets are its own, to write into if it likes.
        patience : int, optional
            Stop after so many epochs without a new least validation loss. At the end the net has
            the weights of the least.
        checkpoint : path, optional
            File to `save` to after each epoch and on Ctrl-C.
        checkpoint_every : int, optional
            Save after each so many steps too.
        progress : bool, default True
            Show on stderr how far it is.

        Raises
        ------
        ValueError, TypeError
            If an argument is of a wrong kind, or the data do not fit together, are empty, are not
            finite numbers, or are not those of the unfinished fit.
        OSError
            If there can be no file at `checkpoint`.
        FloatingPointError
            If the loss becomes NaN or infinite; see `train_step`.
        """
        check_fit(epochs, validation, metrics, transform, patience)
        check_saving(self, checkpoint, checkpoint_every)
        data = Batches(x, t, batch_size, caller="Trainer.fit")
        held_out = None if validation is None else Batches.of(validation, "Trainer.fit: validation")
        if held_out is not None:
            self._try(held_out)
        run = Run(data.samples, batch_size, shuffle).resume(self.unfinished)
        self.unfinished = run
        done, left = self.steps, data.count and (epochs - run.epoch) * data.count - run.batch
        self.net.train()
        with Interruption() as interruption, Progress(progress, left, "step") as shown:

            def after_step() -> None:
                shown.step()
                if checkpoint_every is not None and self.steps % checkpoint_every == 0:
                    self.save(checkpoint)  # type: ignore[arg-type]  # checked above
                interruption.check()

            try:
                while run.epoch < epochs and (patience is None or run.waited < patience):
                    start = perf_counter()
                    self._train_epoch(run, data, transform, after_step)
                    row = self._end_epoch(run, held_out, metrics, start)
                    if patience is not None:
                        run.compare(row["validation_loss"], self.net)
                    if run.epoch % -(-epochs // 100) == 0 or run.epoch == epochs:
                        shown.line(epoch_line(row, run.epoch, epochs))
                    if checkpoint is not None:
                        self.save(checkpoint)
                    interruption.check()
                if self.steps == done:
                    shown.line(f"nothing to do: epoch {run.epoch} was done by step {self.steps}")
                if patience is not None and run.waited and run.best_weights:
                    self.net.load_state_dict(run.best_weights)
                    shown.line(f"the weights are those of epoch {run.epoch - run.waited}")
            except Interrupted:
                shown.line(f"interrupted after step {self.steps}: call fit again to go on")
                if checkpoint is not None:
                    self.save(checkpoint)
                    shown.line(f"or later: Trainer.resume({str(checkpoint)!r}, ...) and this fit")
                return self.history
            except BaseException:  # perhaps in the middle of a step
                self.unfinished = None
                raise
        self.unfinished = run if run.batch else None  # if it was beyond `epochs` already
        return self.history

    def evaluate(
        self,
        x: ArrayLike | Iterable[Any],
        t: ArrayLike | None = None,
        *,
        batch_size: int = 1000,
        metrics: Sequence[Metric] | None = None,
    ) -> dict[str, float]:
        """Return the loss and the metrics by name, batch by batch in evaluation mode.

        The arguments are those of `fit`. The loss is that of all rows at once, and each metric is
        the mean over the rows of what it gives for their batches.
        """
        data = Batches(x, t, batch_size, caller="Trainer.evaluate")
        return evaluate(self.net, self.loss, data, metrics)

    def predict(self, x: ArrayLike, *, batch_size: int = 1000) -> Array:
        """Return the net's output for the rows of `x`, batch by batch in evaluation mode."""
        batch_size = as_count(batch_size, "Trainer.predict: batch_size")
        x, dtype = as_rows("Trainer.predict: x", x), dtype_of(self.net)
        parts = (x[i : i + batch_size] for i in range(0, len(x), batch_size))
        return np.concatenate([self.net.predict(cast(part, dtype)) for part in parts])

    def save(self, path: Path) -> None:
        """Write all that the training depends on but the data and the options to one ``.npz``.

        That is the net's state, the optimizer's, the history, the state of `rng` and of every
        Generator within net, loss, optimizer, schedule and penalty, and where in a `fit` it is.
        What a transform keeps for itself is not; it is handed `rng`. A kill leaves the old file or
        the new one.
        """
        save_training(path, self)

    @classmethod
    def resume(cls, path: Path, *args: Any, **kwargs: Any) -> Self:
        """Return ``Trainer(*args, **kwargs)`` in the state that `save` wrote.

        Net, optimizer and Generators are of the same make; their own state is replaced. Within a
        `fit`, the same call of `fit` then goes on where it was, in the middle of an epoch too, bit
        for bit as if nothing had been between; an iterable must give the same batches again.

        Raises
        ------
        ValueError
            If the file is damaged or of another make; then nothing has changed.
        """
        trainer = cls(*args, **kwargs)
        load_training(path, trainer)
        return trainer

    def _train_epoch(
        self, run: Run, data: Batches, transform: Transform | None, after_step: Callable[[], None]
    ) -> None:
        order, mean, dtype = run.order(self.rng), averages(self.loss), dtype_of(self.net)
        for x, t in data.once(order, run.batch):
            if transform is not None:
                if order is None:  # these are the caller's own arrays, or views of them
                    x, t = copy.deepcopy((x, t))
                x, t = as_pair("Trainer.fit: what transform gave", transform(x, t, self.rng))
            rows = len(t) if t.ndim else 1
            value = self.train_step(cast(x, dtype), t)
            self.history.step_losses.append(value)
            run.add(value * rows if mean else value, rows)
            after_step()

    def _try(self, held_out: Batches) -> None:
        """Evaluate a few rows, so that what does not fit is told before the training."""
        if held_out.samples is None:
            return  # an iterable might run only once
        try:
            few = Batches(held_out.x[:2], held_out.t[:2], caller="Trainer.fit")
            with (rewind := Rewind(self.net, self.loss)):
                evaluate(self.net, self.loss, few, ())
        except Exception as error:
            error.add_note("in Trainer.fit: validation")
            raise
        rewind.back()

    def _end_epoch(
        self, run: Run, held_out: Batches | None, metrics: Sequence[Metric] | None, start: float
    ) -> dict[str, float]:
        """Add the epoch's row to the history."""
        row: dict[str, float] = {
            "epoch": len(self.history.epochs) + 1,
            "step": len(self.history.step_losses),
            "loss": run.loss / run.rows if averages(self.loss) else run.loss,
        }
        if held_out is not None:
            found = evaluate(self.net, self.loss, held_out, metrics)
            row |= {f"validation_{name}": value for name, value in found.items()}
        row["seconds"] = perf_counter() - start
        self.history.epochs.append(row)
        run.end_epoch()
        return row
