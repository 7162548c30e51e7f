"""The training loop: forward, loss, backward, step."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import closing
from functools import partial
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ...layers.nested import leaves
from ...layers.protocols import LayerLike, LossLike
from ...layers.tree import layers_of
from ..gradients import (
    NonFiniteLossError,
    as_result,
    backpropagate,
    watched_backpropagate,
)
from ..optimizers.clipping import clip_gradients, clip_values, global_norm
from ..optimizers.penalties import L1, L2
from ..parallel.mpi import Ranks
from ..parallel.threads import blas_for
from ..protocols import OptimizerLike, Schedule, Transform
from .arguments import (
    as_monitor,
    as_validation,
    check_fit,
    check_saving,
    check_trainer,
    is_evaluating,
    nothing_to_train,
    warn_of_bytes,
)
from .batches import Batches, as_rows, cast, home_of, joined, placed
from .checkpoint import generators_of, load_training, save_training
from .diagnosis import find_nonfinite
from .evaluation import Metrics, evaluate, try_evaluation
from .fit import Fit, Run
from .heap import keep_freed_memory
from .history import History
from .interruption import Interrupted, interruption
from .progress import Progress
from .random_state import Rewind

Hook = Callable[["Trainer"], Any]
Path = str | PathLike[str]


class Trainer:
    """Trains a net on mini-batches.

    Parameters
    ----------
    net : Layer
        The net, trained in place.
    loss : Layer
        A layer of two inputs, such as `chainrule.layers.CrossEntropyLoss`; its forward returns a
        number: the mean over the rows, unless the loss sets ``total``, what it divided by, or
        ``reduction = "sum"``. The losses of batches are joined by these.
    optimizer : object
        Has ``step(params, grads)``, which updates the parameters in place; for a schedule also
        ``lr``.
    rng : numpy.random.Generator
        Shuffles the rows, and is passed to the transform.
    schedule : function of the step, optional
        Gives ``optimizer.lr`` before each step, counted from 0; see `chainrule.networks.schedules`.
    penalty : L1 or L2, optional
        Added to the loss.
    max_norm, max_value : float, optional
        Clip the global norm (`clip_gradients`) or each element (`clip_values`) of the gradients.
    comm : mpi4py.MPI.Comm, optional
        Train on its ranks together, started by ``mpiexec -n 4 python -m mpi4py program.py``; see
        Notes.

    Attributes
    ----------
    steps : int
        Steps done.
    history : History
        What `fit` has recorded.
    unfinished : Run or None
        Where the latest `fit` stopped, if it was ended by Ctrl-C, a kill or an error between two
        steps: the next resumes there. Set it to None to start anew.

    Raises
    ------
    TypeError, ValueError
        If an argument is unsuitable, or the net or loss owns what it does not declare.

    Notes
    -----
    With `comm`, each rank has the whole net and a share of each batch; one Allreduce sums the
    gradients, so that each step is that of the whole batch on one machine. All ranks call
    `fit`, `train_step`, `evaluate`, `save` and `resume`, with nets drawn from equal seeds. Of
    arrays, `fit` and `evaluate` take each rank's rows; an iterable, and the batch of `train_step`,
    are the rank's own, and all of them together are the batch. Rank 0 draws the order of the
    samples, prints and saves. Once there is a Trainer, the Generators of the other ranks have
    streams of their own, so that Dropout draws a mask for each rank. BatchNorm normalizes by the
    statistics of the rank's rows, and its running averages become the means over the ranks. An
    error of one rank, in a step, in its data or in a function that it calls, is raised there, and a
    `RankError` on the others.
    """

    def __init__(
        self,
        net: LayerLike,
        loss: LossLike,
        optimizer: OptimizerLike,
        rng: np.random.Generator,
        *,
        schedule: Schedule | None = None,
        penalty: L1 | L2 | None = None,
        max_norm: float | None = None,
        max_value: float | None = None,
        comm: Any = None,
    ) -> None:
        limits = {"max_norm": max_norm, "max_value": max_value}
        check_trainer(net, loss, optimizer, rng, schedule, penalty, **limits)
        self.net: Any = net
        self.loss: Any = loss
        self.optimizer: Any = optimizer
        self.rng = rng
        self.schedule, self.penalty = schedule, penalty
        self.max_norm, self.max_value = max_norm, max_value
        self.steps = 0
        self.history = History()
        self.unfinished: Run | None = None
        self._checked = False  # whether a step was watched for undeclared parameters
        self._warned = set[str]()
        self.ranks = Ranks(comm)
        self.ranks.check_equal(net)
        self.ranks.separate(generators_of(self)[1])
        keep_freed_memory()

    def train_step(self, x: Any, t: Any, weights: Any = None) -> float:
        """Train on one batch.

        Parameters
        ----------
        x, t : arrays of shape (N, ...) or nested tuples of them
            Inputs and targets; a tuple x is spread into the net's arguments. They are moved to
            where the net's parameters are.
        weights : array of shape (N,) or (N, ...), optional
            Weights of the rows.

        Returns
        -------
        float
            The loss before the step, including the penalty.

        Raises
        ------
        FloatingPointError
            If the loss is NaN or infinite. It names the step, from 1, and where the first such
            value is: in the batch, a parameter, a layer or the loss. A gradient that is not finite
            while the loss is shows in the next step, or with `max_norm` in this one.
        TypeError
            In the first step, if a layer trains an array that it does not declare.

        Warns
        -----
        UserWarning
            Once if the net is in evaluation mode, or, at the first step, a layer of it that is not
            frozen; at the first step if x holds bytes that look like unscaled images.

        Notes
        -----
        After any error, the buffers (such as BatchNorm's averages) and the Generators of net and
        loss are as they were, and so are the parameters unless the optimizer had begun to update
        them: the library's check the gradients first.
        """
        first, layers = not self._checked, layers_of(self.net, self.loss)
        if is_evaluating(self.net) or (first and any(map(is_evaluating, layers))):
            self.warn_once("Trainer.train_step: the net is in evaluation mode; call net.train()")
        if first:
            warn_of_bytes("Trainer", self.net, x)
        home = home_of(layers)
        if not type(x) is type(t) is type(home):
            x, t, weights = placed((x, t, weights), home)
        rewind = Rewind(layers)
        try:
            step = watched_backpropagate if first else backpropagate
            try:
                batch = self.net, self.loss, x, t, weights
                value, params, grads = self.ranks.gradients(step, layers, *batch)
            except NonFiniteLossError as error:
                rewind.back()
                found = find_nonfinite(self.net, x, t)
                raise FloatingPointError(f"{error} at step {self.steps + 1}: {found}") from None
            self._checked = True
            if not params:
                raise nothing_to_train("Trainer.train_step", self.net)
            if self.penalty is not None:
                value += self.penalty.value(params)
                grads = self.penalty.add_to(grads, params)
            if self.max_value is not None:
                grads = clip_values(grads, self.max_value)
            if self.max_norm is not None:
                norm = self.ranks.first(partial(global_norm, grads))
                grads = clip_gradients(grads, self.max_norm, norm)
            if self.schedule is not None:
                self.optimizer.lr = as_result("Trainer: schedule", self.schedule(self.steps))
            self.optimizer.step(params, grads)
        except BaseException:
            rewind.back()  # buffers and Generators are as they were
            raise
        self.steps += 1
        return value

    def fit(
        self,
        x: Any,
        t: Any = None,
        *,
        epochs: int,
        # batches
        batch_size: int | None = None,
        weights: ArrayLike | None = None,
        shuffle: bool = True,
        drop_last: bool = False,
        transform: Transform | None = None,
        # validation
        validation: Any = None,
        metrics: Metrics | None = None,
        # stopping early
        patience: int | None = None,
        min_delta: float = 0.0,
        monitor: str | tuple[str, str] | None = None,
        # functions to call
        after_step: Hook | None = None,
        after_epoch: Hook | None = None,
        # saving and showing
        checkpoint: Path | None = None,
        checkpoint_every: int | None = None,
        progress: bool = True,
    ) -> History:
        """Train, and return the history.

        Only the data and `epochs` are needed. The options come in groups: how the data are cut into
        batches and changed (`batch_size` to `transform`), what is evaluated after each epoch
        (`validation`, `metrics`), when to stop early (`patience` to `monitor`), functions to call
        (`after_step`, `after_epoch`), what to save (`checkpoint`, `checkpoint_every`) and whether
        to show the progress (`progress`).

        Ctrl-C ends it after the current step: it returns as usual, and `unfinished` records where
        it stopped. A second Ctrl-C, or a KeyboardInterrupt raised otherwise, ends it at once,
        perhaps in the middle of a step.

        Parameters
        ----------
        x, t : arrays of shape (N, ...) or nested tuples of them
            Inputs and targets; `numpy.memmap` too, of which only a batch is read at a time.
            Or x alone: a list or another iterable of batches ``(x, t)`` or ``(x, t, weights)``,
            iterated over once per epoch.
        epochs : int
            Number of epochs, including those of the unfinished fit.
        batch_size : int, optional
            Rows per step; None takes all at once, in the given order.
        weights : array of shape (N,) or (N, ...), optional
            Weights of the rows, or of the leading axes of t: see the losses.
        shuffle : bool, default True
            Draw a new order of the rows for each epoch.
        drop_last : bool, default False
            Leave out a last batch that is smaller.
        transform : function ``(x, t, rng) -> (x, t)``, optional
            Changes each training batch, for augmentation; it must draw from `rng`. It may write
            into the arrays it gets.
        validation : tuple, iterable of batches, dict of them by name, or float, optional
            ``(x, t)`` or ``(x, t, weights)``, evaluated after each epoch; a few rows also before
            the first step. The columns of a set named "test" are ``test_loss`` and so on. A float
            is the fraction of x and t to hold out, drawn by `rng`.
        metrics : list of functions ``metric(y, t)``, or dict of them by name, optional
            Evaluated on all rows of each set at once; by default `accuracy` if the targets are
            labels. scikit-learn's metrics take t first.
        patience : int, optional
            Early stopping: number of epochs without an improved value of `monitor` after which
            training ends; then the best weights are restored.
        min_delta : float, default 0.0
            Smallest change that counts as an improvement.
        monitor : str or pair (str, "min" or "max"), optional
            The column to watch, such as ``("validation_accuracy", "max")``; "min" is implied for
            names that end in "loss". By default the only set's loss.
        after_step, after_epoch : functions of the Trainer, optional
            Called after each step, and each epoch. Parameters are changed in place,
            ``W[...] = ...``: a new array is a new parameter to the optimizer. If one raises
            StopIteration, the fit ends as with patience.
        checkpoint : path, optional
            File to `save` to after each epoch and on Ctrl-C.
        checkpoint_every : int, optional
            Number of steps after which to save too.
        progress : bool, default True
            Whether to report the progress on stderr.

        Returns
        -------
        History
            That of the trainer.

        Raises
        ------
        ValueError, TypeError
            If an argument is unsuitable, or the data do not match, are empty, are not finite
            numbers, or have another number of rows than those of the unfinished fit.
        OSError
            If no file can be written at `checkpoint`.
        FloatingPointError
            If the loss becomes NaN or infinite; see `train_step`.

        Warns
        -----
        UserWarning
            See `train_step`.
        """
        flags = {"shuffle": shuffle, "drop_last": drop_last}
        check_fit(epochs, flags, validation, metrics, transform, patience, after_step, after_epoch)
        self.ranks.first(lambda: check_saving(self, checkpoint, checkpoint_every))

        def prepared() -> tuple[Batches, dict[str, Batches], float | None, Run, tuple[str, int]]:
            data = Batches(
                x, t, batch_size, weights=weights, drop_last=drop_last, caller="Trainer.fit"
            )
            sets, share = as_validation(validation, data)
            run = Run(data.samples, batch_size, shuffle, drop_last, share).resume(self.unfinished)
            watched = as_monitor(monitor, patience, min_delta, sets, share)
            self._try(sets if share is None else {"validation": data}, metrics, watched[0])
            return data, sets, share, run, watched

        data, sets, share, run, watched = self.ranks.together(prepared)
        self.ranks.check_samples(data.samples)
        if share is not None:
            rows, held_out = self.ranks.first(lambda: run.split(self.rng))
            sets, data = {"validation": data.subset(held_out)}, data.subset(rows)
        fit = Fit(
            trainer=self,
            run=run,
            data=data,
            sets=sets,
            metrics=metrics,
            transform=transform,
            epochs=epochs,
            patience=patience,
            min_delta=min_delta,
            monitor=watched,
            after_step=after_step,
            after_epoch=after_epoch,
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
        )
        done, left = self.steps, data.count and (epochs - run.epoch) * data.count - run.batch
        self.net.train()
        self.ranks.interrupted(False)  # forget a Ctrl-C at the last step of an earlier fit
        shown = Progress(progress and self.ranks.rank == 0, left, "step")
        with blas_for(self.net), interruption() as ctrl_c, closing(shown):
            try:
                fit.loop(shown, ctrl_c)
            except Interrupted:
                shown.line(f"interrupted after step {self.steps}: call fit again to resume")
                if checkpoint is not None:
                    self.save(checkpoint)
                    shown.line(f"or later: Trainer.resume({str(checkpoint)!r}, ...) and this fit")
                return self.history
            if self.steps == done:
                ended = f"epoch {run.epoch} was done by step {self.steps}"
                if patience is not None and run.waited >= patience:
                    ended = f"patience ended it after epoch {run.epoch}; a greater one goes on"
                shown.line(f"nothing to do: {ended}")
            if patience is not None and run.waited and run.best_weights:
                self.net.load_state_dict(run.best_weights)
                shown.line(f"the best weights, of epoch {run.epoch - run.waited}, are restored")
        # A run of more epochs than these may be in the middle of one.
        self.unfinished = run if run.batch and not run.stopped else None
        return self.history

    def evaluate(
        self,
        x: Any,
        t: Any = None,
        *,
        batch_size: int = 1000,
        weights: ArrayLike | None = None,
        metrics: Metrics | None = None,
    ) -> dict[str, float]:
        """Return the loss and the metrics by name, in evaluation mode.

        The net runs batch by batch; the loss and each metric are those of all rows at once.

        Parameters
        ----------
        x, t : arrays of shape (N, ...) or nested tuples of them
            Inputs and targets, or x alone: an iterable of batches, as in `fit`.
        batch_size : int, default 1000
            Rows that the net takes at a time.
        weights : array of shape (N,) or (N, ...), optional
            Weights of the rows in the loss; the metrics do not use them.
        metrics : list of functions ``metric(y, t)``, or dict of them by name, optional
            By default `accuracy` if the targets are labels.

        Returns
        -------
        dict of str to float
            Such as ``{"loss": 0.1, "accuracy": 0.97}``.
        """
        size = None if t is None else batch_size
        caller = "Trainer.evaluate"
        data = self.ranks.together(lambda: Batches(x, t, size, weights=weights, caller=caller))
        return evaluate(self.net, self.loss, data, metrics, self.ranks)

    def predict(self, x: Any, *, batch_size: int = 1000) -> Any:
        """Return the net's output for the rows of `x`, batch by batch in evaluation mode.

        Parameters
        ----------
        x : array of shape (N, ...) or nested tuple of them
            Inputs.
        batch_size : int, default 1000
            Rows that the net takes at a time.

        Returns
        -------
        array or nested tuple of arrays
            The output of all rows.
        """
        x = as_rows("Trainer.predict: x", x)
        data = Batches(x, x, batch_size, caller="Trainer.predict")
        home = home_of(layers_of(self.net))
        _, like = next(leaves(x))
        outputs = []
        for part, _, _ in data.once():
            part = cast(part, home)
            out = self.net.predict(*(part if isinstance(part, tuple) else (part,)))
            outputs.append(placed(out, like))
        return joined(outputs)

    def save(self, path: Path) -> None:
        """Write a checkpoint to resume from: one ``.npz`` file.

        It holds all that the training depends on but the data and the options: the net's state and
        which parts are frozen, the buffers of the loss, the optimizer's state, the history, the
        state of `rng` and of every Generator within net, loss, optimizer, schedule and penalty, and
        the position within a `fit`, but not what a transform or an `after_step` stores itself. A
        kill leaves the old file or the new one.

        Parameters
        ----------
        path : path
            Name of the file.

        Raises
        ------
        OSError
            If the file cannot be written; then the old one stays.
        """
        save_training(path, self)

    @classmethod
    def resume(cls, path: Path, *args: Any, **kwargs: Any) -> Self:
        """Return ``Trainer(*args, **kwargs)`` in the state that `save` wrote.

        Net, optimizer and Generators must be constructed identically; their state is replaced. If
        it was saved during a `fit`, the same call of `fit` resumes there, even within an epoch,
        and the result is bit for bit that of an uninterrupted run; an iterable must yield the same
        batches again.

        Parameters
        ----------
        path : path
            Name of the file.
        *args, **kwargs
            Those of the Trainer.

        Returns
        -------
        Trainer
            The new one.

        Raises
        ------
        ValueError
            If the file is damaged or does not match; then nothing has changed.
        """
        trainer = cls(*args, **kwargs)
        load_training(path, trainer)
        return trainer

    def warn_once(self, message: str) -> None:
        """Warn, unless this Trainer has given the same warning before.

        Parameters
        ----------
        message : str
            The warning.
        """
        if message not in self._warned and self.ranks.rank == 0:
            self._warned.add(message)
            warnings.warn(message, stacklevel=3)

    def _try(self, sets: dict[str, Batches], metrics: Metrics | None, monitor: str) -> None:
        """Evaluate a few rows, so that errors are reported before the training."""
        columns: list[str] | None = ["loss"]
        rewind = Rewind(layers_of(self.net, self.loss))
        try:
            for name, batches in sets.items():
                try:
                    found = try_evaluation(self.net, self.loss, batches, metrics)
                except Exception as error:
                    known = "" if name == "validation" else f" {name!r}"
                    error.add_note(f"in Trainer.fit: validation{known}")
                    raise
                if found is None or columns is None:
                    columns = None
                else:
                    columns += [f"{name}_{n}" for n in found]
        finally:
            rewind.back()
        if sets and columns is not None and monitor not in columns:
            raise ValueError(f"Trainer.fit: monitor is {monitor!r}, expected one of {columns}")
