"""Checks, made before a training starts, of what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from ...layers import Layer
from ...layers.checks import as_count, as_number
from ...layers.losses import Loss
from ...layers.tree import state
from ...layers.undeclared import check_declared
from .checkpoint import check_can_save


def check_net(caller: str, net: Any) -> None:
    """Raise TypeError if the net is no layer, ValueError if it has no parameters."""
    _check(isinstance(net, Layer), caller, "net", net, "a Layer such as Sequential(...)")
    if isinstance(net, Loss):
        raise TypeError(f"{caller}: net is the loss {net!r}; are net and loss swapped?")
    check_declared(net)
    for name, array in state(net).items():
        if isinstance(array, np.ndarray) and not array.flags.writeable:
            raise ValueError(f"{caller}: {name!r} of the net is read-only; train a copy of it")
    if not net.params:
        raise ValueError(
            f"{caller}: the net has no parameters: nothing to train; a class of your own needs "
            "'params' and 'grads' lists or 'param_names'"
        )


def check_loss(caller: str, loss: Any) -> None:
    """Raise TypeError if the loss is no layer."""
    hint = "a layer such as MSELoss(), with forward(y, t) and backward(dout)"
    _check(_has(loss, "forward", "backward"), caller, "loss", loss, hint)
    check_declared(loss)


def check_trainer(
    net: Any, loss: Any, optimizer: Any, rng: Any, schedule: Any, penalty: Any, **limits: Any
) -> None:
    """Raise TypeError or ValueError if no `Trainer` can be made of these."""
    check_net("Trainer", net)
    check_loss("Trainer", loss)
    _check(_has(optimizer, "step"), "Trainer", "optimizer", optimizer, "one with step(), as SGD()")
    generator = isinstance(rng, np.random.Generator)
    _check(generator, "Trainer", "rng", rng, "numpy.random.default_rng(seed)")
    if schedule is not None:
        _check(callable(schedule), "Trainer", "schedule", schedule, "a function of the step")
        if not hasattr(optimizer, "lr"):
            raise TypeError(f"Trainer: schedule sets lr, which {type(optimizer).__name__} has not")
    if penalty is not None:
        fits = _has(penalty, "value", "add_to")
        _check(fits, "Trainer", "penalty", penalty, "L1(strength) or L2(strength)")
    for name, limit in limits.items():
        if limit is not None and not as_number(limit, f"Trainer: {name}") > 0:
            raise ValueError(f"Trainer: {name} is {limit}, expected a positive number")


def check_fit(epochs: Any, validation: Any, metrics: Any, transform: Any, patience: Any) -> None:
    """Raise TypeError or ValueError if these do not make a `Trainer.fit`."""
    as_count(epochs, "Trainer.fit: epochs")
    if patience is not None:
        as_count(patience, "Trainer.fit: patience")
    for name, value in {"patience": patience, "metrics": metrics}.items():
        if value is not None and validation is None:
            raise ValueError(f"Trainer.fit: {name} needs validation data")
    by_name("Trainer.fit", metrics or ())
    if transform is not None:
        _check(callable(transform), "Trainer.fit", "transform", transform, "a function (x, t, rng)")


def check_saving(trainer: Any, checkpoint: Any, checkpoint_every: Any) -> None:
    """Raise TypeError, ValueError or OSError if `Trainer.fit` cannot save to `checkpoint`."""
    if checkpoint_every is not None:
        as_count(checkpoint_every, "Trainer.fit: checkpoint_every")
        if checkpoint is None:
            raise ValueError("Trainer.fit: checkpoint_every needs a checkpoint to save to")
    if checkpoint is not None:
        is_path = isinstance(checkpoint, str | PathLike)
        _check(is_path, "Trainer.fit", "checkpoint", checkpoint, "a path")
        check_can_save(checkpoint, trainer)


def check_minimize(net: Any, loss: Any, options: Any, callback: Any) -> None:
    """Raise TypeError or ValueError if `minimize` cannot be run so."""
    check_net("minimize", net)
    check_loss("minimize", loss)
    if options is not None:
        _check(isinstance(options, dict), "minimize", "options", options, "a dict")
    if callback is not None:
        _check(callable(callback), "minimize", "callback", callback, "a function")


def by_name(caller: str, metrics: Any) -> dict[str, Any]:
    """Return the metrics by their names.

    Raises
    ------
    TypeError
        If it is no sequence of functions.
    ValueError
        If two have one name, or one that of the loss.
    """
    if not (isinstance(metrics, Sequence) and all(map(callable, metrics))):
        raise TypeError(
            f"{caller}: metrics is {metrics!r:.60}, expected a list of functions metric(y, t)"
        )
    named: dict[str, Any] = {}
    for metric in metrics:
        name = getattr(metric, "__name__", type(metric).__name__)
        if name == "loss" or name in named:
            raise ValueError(
                f"{caller}: {name!r} names two metrics, or the loss and a metric; "
                "give each a name of its own with def"
            )
        named[name] = metric
    return named


def _has(thing: Any, *methods: str) -> bool:
    return all(callable(getattr(thing, method, None)) for method in methods)


def _check(fits: bool, caller: str, name: str, value: Any, expected: str) -> None:
    if isinstance(value, type):
        raise TypeError(
            f"{caller}: {name} is the class {value.__name__}, expected an instance, "
            f"such as {value.__name__}()"
        )
    if not fits:
        origin = " of PyTorch" if type(value).__module__.partition(".")[0] == "torch" else ""
        raise TypeError(f"{caller}: {name} is {value!r:.60}{origin}, expected {expected}")
