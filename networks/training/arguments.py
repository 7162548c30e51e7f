"""Checks of the arguments of `Trainer`, `fit` and `minimize`, made before the training."""

from __future__ import annotations

import warnings
from numbers import Real
from os import PathLike
from typing import Any

import numpy as np

from ...layers import BinaryCrossEntropyLoss, CrossEntropyLoss, Layer, Sigmoid, Softmax
from ...layers.checks import as_count, as_number, as_positive
from ...layers.losses import Loss
from ...layers.nested import leaves
from ...layers.tree import layers_of, own_params, params_of, state
from ...layers.undeclared import check_declared
from ..chain import Chain
from ..gradients import as_result
from .batches import Batches
from .checkpoint import check_can_save
from .evaluation import by_name


def check_net(caller: str, net: Any) -> None:
    """Raise TypeError if the net is no layer, ValueError if it has no parameters."""
    hint = "a Layer such as Sequential(...)"
    if isinstance(getattr(net, "layers", None), dict):
        hint = "Sequential(*net.layers.values()), to which the loss does not belong"
    _check(isinstance(net, Layer), caller, "net", net, hint)
    if isinstance(net, Loss):
        raise TypeError(f"{caller}: net is the loss {net!r}; are net and loss swapped?")
    check_declared(net, new=False)
    for name, array in state(net).items():
        if isinstance(array, np.ndarray) and not array.flags.writeable:
            raise ValueError(f"{caller}: {name!r} of the net is read-only; train a copy of it")
    if not net.params:
        raise nothing_to_train(caller, net)


def nothing_to_train(caller: str, net: Any) -> ValueError:
    """Return the error of a net without parameters, or whose parameters are all frozen."""
    if any(map(own_params, layers_of(net))):
        return ValueError(
            f"{caller}: all parameters of the net are frozen: nothing to train; "
            "call unfreeze() on the layers to be trained"
        )
    return ValueError(
        f"{caller}: the net has no parameters: nothing to train; a class of your own needs "
        "'params' and 'grads' lists or 'param_names'"
    )


def warn_of_probabilities(net: Any, loss: Any) -> None:
    """Warn of a net that ends in the softmax or sigmoid which its loss contains."""
    end = net.layers[-1] if isinstance(net, Chain) and len(net) else net
    for kind, last in ((CrossEntropyLoss, Softmax), (BinaryCrossEntropyLoss, Sigmoid)):
        if isinstance(loss, kind) and isinstance(end, last):
            warnings.warn(
                f"Trainer: the net ends in {last.__name__}, but {kind.__name__} takes logits, to "
                f"which it applies it itself: leave {last.__name__} out",
                stacklevel=4,
            )


def check_loss(caller: str, loss: Any) -> None:
    """Raise TypeError if the loss is no layer, ValueError if it has parameters to train."""
    hint = "a layer such as MSELoss(), with forward(y, t) and backward(dout)"
    _check(_has(loss, "forward", "backward"), caller, "loss", loss, hint)
    check_declared(loss, new=False)
    if params_of(layers_of(loss)):
        raise ValueError(
            f"{caller}: the loss has parameters, which would not be trained; make their layer a "
            "part of the net, or freeze() it"
        )


def check_trainer(
    net: Any, loss: Any, optimizer: Any, rng: Any, schedule: Any, penalty: Any, **limits: Any
) -> None:
    """Raise TypeError or ValueError if no `Trainer` can be made of these."""
    check_net("Trainer", net)
    check_loss("Trainer", loss)
    warn_of_probabilities(net, loss)
    _check(_has(optimizer, "step"), "Trainer", "optimizer", optimizer, "one with step(), as SGD()")
    generator = isinstance(rng, np.random.Generator)
    _check(generator, "Trainer", "rng", rng, "numpy.random.default_rng(seed)")
    if schedule is not None:
        _check(callable(schedule), "Trainer", "schedule", schedule, "a function of the step")
        as_result("Trainer: schedule", schedule(0))
        if not hasattr(optimizer, "lr"):
            kind = type(optimizer).__name__
            raise TypeError(f"Trainer: schedule sets lr, which {kind} does not have")
    if penalty is not None:
        fits = _has(penalty, "value", "add_to")
        _check(fits, "Trainer", "penalty", penalty, "L1(strength) or L2(strength)")
    for name, limit in limits.items():
        if limit is not None:
            as_positive(limit, f"Trainer: {name}")


def is_evaluating(layer: Any) -> bool:
    """Whether a layer that is not frozen is in evaluation mode."""
    return not (getattr(layer, "training", True) or getattr(layer, "frozen", False))


def check_fit(
    epochs: Any,
    flags: dict[str, Any],
    validation: Any,
    metrics: Any,
    transform: Any,
    patience: Any,
    after_step: Any,
    after_epoch: Any,
) -> None:
    """Raise TypeError or ValueError if these do not make a `Trainer.fit`."""
    as_count(epochs, "Trainer.fit: epochs")
    for name, flag in flags.items():
        _check(isinstance(flag, bool), "Trainer.fit", name, flag, "True or False")
    if patience is not None:
        as_count(patience, "Trainer.fit: patience")
    for name, value in {"patience": patience, "metrics": metrics}.items():
        if value is not None and validation is None:
            raise ValueError(f"Trainer.fit: {name} needs validation data")
    by_name("Trainer.fit", () if metrics is None else metrics)
    if transform is not None:
        _check(callable(transform), "Trainer.fit", "transform", transform, "a function (x, t, rng)")
    for name, hook in {"after_step": after_step, "after_epoch": after_epoch}.items():
        fits = hook is None or callable(hook)
        _check(fits, "Trainer.fit", name, hook, "a function of the Trainer")


def as_validation(validation: Any, data: Batches) -> tuple[dict[str, Batches], float | None]:
    """Return the validation sets by name, or the fraction of the data to hold out."""
    caller = "Trainer.fit: validation"
    if isinstance(validation, Real) and not isinstance(validation, bool):
        share = float(validation)
        if not 0 < share < 1:
            raise ValueError(f"{caller} is {share}, expected a fraction between 0 and 1, or data")
        if data.samples is None:
            raise ValueError(f"{caller} is {share}, a fraction of arrays, but x is batches already")
        if data.samples < 2:
            raise ValueError(f"{caller} is {share}, but x has one row")
        return {}, share
    if not isinstance(validation, dict):
        validation = {} if validation is None else {"validation": validation}
        return {name: Batches.of(given, caller) for name, given in validation.items()}, None
    if not (validation and all(isinstance(name, str) and name for name in validation)):
        raise ValueError(f"{caller} has the names {list(validation)}, expected names of sets")
    sets = {name: Batches.of(given, f"{caller} {name!r}") for name, given in validation.items()}
    return sets, None


def as_monitor(
    monitor: Any, patience: Any, min_delta: Any, sets: dict[str, Batches], share: float | None
) -> tuple[str, int]:
    """Return the column to watch, and -1 if its maximum is the best, else 1."""
    if not as_number(min_delta, "Trainer.fit: min_delta") >= 0:
        raise ValueError(f"Trainer.fit: min_delta is {min_delta}, expected at least 0")
    names = list(sets) if share is None else ["validation"]
    if monitor is None:
        if patience is not None and len(names) > 1:
            raise ValueError(
                f"Trainer.fit: patience with the sets {names} needs monitor, such as "
                f"monitor={names[-1] + '_loss'!r}"
            )
        return f"{names[0] if names else 'validation'}_loss", 1
    if patience is None:
        raise ValueError("Trainer.fit: monitor needs patience")
    is_pair = isinstance(monitor, tuple) and len(monitor) == 2 and isinstance(monitor[0], str)
    fits = isinstance(monitor, str) or is_pair
    _check(fits, "Trainer.fit", "monitor", monitor, "a column, or (column, 'min' or 'max')")
    column, best = (monitor, None) if isinstance(monitor, str) else monitor
    if best is None and column.endswith("loss"):
        best = "min"
    if best not in ("min", "max"):
        raise ValueError(
            f"Trainer.fit: monitor is {monitor!r}, expected ({column!r}, 'max') "
            f"or ({column!r}, 'min')"
        )
    return column, 1 if best == "min" else -1


def warn_of_bytes(caller: str, net: Any, x: Any) -> None:
    """Warn of images of bytes up to 255, on which few nets can train.

    An array of two axes may hold indices: it counts as images only if the first parameter has as
    many rows as it has columns.
    """
    rows = next((param.shape[:1] for param in net.params), ())
    for _, array in leaves(x):
        shape = np.shape(array)
        images = len(shape) > 2 or (len(shape) == 2 and shape[1:] == rows)
        if images and getattr(array, "dtype", None) == np.uint8 and array.max(initial=0) > 1:
            message = f"{caller}: x holds bytes (uint8) beyond 1; scale them, x / np.float32(255)"
            warnings.warn(message, stacklevel=3)


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
    """Raise TypeError or ValueError if these do not make a `minimize`."""
    check_net("minimize", net)
    check_loss("minimize", loss)
    if options is not None:
        _check(isinstance(options, dict), "minimize", "options", options, "a dict")
    if callback is not None:
        _check(callable(callback), "minimize", "callback", callback, "a function")


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
