"""What every optimizer is: the loop over the parameters, its checks and its state."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ...layers.base import Array
from .hyperparameter import hyperparameter

_BLOCK = 65_536  # elements updated at a time, so that what a formula allocates stays in the cache


class Optimizer:
    """What the optimizers share: the loop over the parameters, the checks and the state.

    A subclass names its arrays of state in `slots` and its numbers in `settings`, and writes its
    formula in ``_update(p, g, *slots)``, where `self.t` counts the steps from 1.

    Each net needs an optimizer of its own: one that has made steps goes on, with another net of the
    same shapes, from the moments and the step count of the first.

    Parameters
    ----------
    lr : float
        Learning rate, at least 0. The attribute may be changed between steps.
    weight_decay : float
        At least 0; ``weight_decay * p`` is added to each gradient, as if the loss had a term
        ``weight_decay / 2 * |p|^2``.
    """

    slots: tuple[str, ...] = ()
    settings: ClassVar[tuple[str, ...]] = ("lr", "weight_decay")
    lr: float = hyperparameter()
    weight_decay: float = hyperparameter()

    def __init__(self, lr: float, weight_decay: float) -> None:
        self.lr, self.weight_decay = lr, weight_decay
        self.t = 0
        self._state: list[list[Array]] = []  # for each slot the arrays of all parameters
        self._shapes: list[tuple[int, ...]] | None = None  # of the parameters, once seen
        self._half = False  # whether one of them is float16

    def step(self, params: Sequence[Array], grads: Sequence[Array]) -> None:
        """Move the parameters in place against their gradients.

        Raises
        ------
        ValueError
            If the gradients are not of the parameters' number and shapes, or the parameters not
            those of the steps before; then nothing has changed.
        TypeError
            If a parameter is not of a floating dtype.
        """
        ready = len(self._state) == len(self.slots)
        if not (ready and self._shapes == [p.shape for p in params] == [g.shape for g in grads]):
            self._begin(params, grads)
        self.t += 1
        if self._half:
            grads = [g.astype(_wide(g)) for g in grads]
        if self.weight_decay:
            grads = self._decay(params, grads)
        for arrays in zip(params, grads, *self._state):  # noqa: B905, their lengths are checked
            if arrays[0].size <= _BLOCK:
                self._update(*arrays)
            else:
                for block in _blocks(*arrays):
                    self._update(*block)

    def _decay(self, params: Sequence[Array], grads: Sequence[Array]) -> list[Array]:
        return [g + self.weight_decay * p for p, g in zip(params, grads, strict=True)]

    def _update(self, p: Array, g: Array, *state: Array) -> None:
        raise NotImplementedError

    def state_dict(self) -> dict[str, Array]:
        """Copies of all that the next step depends on: class, settings, step count and slots."""
        state = {"class": np.array(type(self).__name__), "t": np.array(self.t)}
        state |= {name: np.array(getattr(self, name)) for name in self.settings}
        slots = dict(zip(self.slots, self._state, strict=False))  # none before the first step
        state["arrays"] = np.array(len(slots) and len(self._state[0]))
        for slot, arrays in slots.items():
            state |= {f"{slot}.{k}": array.copy() for k, array in enumerate(arrays)}
        return state

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> None:
        """Go on from a `state_dict` of the same class; the settings become the saved ones.

        Raises
        ------
        ValueError, TypeError
            If it is of another class, names are missing or unknown, or a value is none that a
            state can have; then nothing has changed.
        """
        new = {name: np.array(value) for name, value in state.items()}
        name, fresh = type(self).__name__, copy.copy(self)
        if str(new.get("class")) != name:
            raise ValueError(f"{name}: the state is of class {new.get('class')}")
        if missing := {"t", "arrays", *self.settings} - set(new):
            raise ValueError(f"{name}: the state has {sorted(new)}, expected {sorted(missing)} too")
        for setting in self.settings:
            setattr(fresh, setting, new[setting].tolist())
        fresh.t, count = _count(name, "t", new["t"]), _count(name, "arrays", new["arrays"])
        keys = [[f"{slot}.{k}" for k in range(count)] for slot in fresh.slots]
        expected = {"class", "t", "arrays", *self.settings, *chain.from_iterable(keys)}
        if set(new) != expected:
            raise ValueError(f"{name}: the state has {sorted(new)}, expected {sorted(expected)}")
        fresh._state = [[new[key] for key in slot] for slot in keys] if count else []
        for key in chain.from_iterable(keys):
            if new[key].dtype.kind != "f" or not np.isfinite(new[key]).all():
                raise ValueError(f"{name}: {key!r} holds something else than finite numbers")
        fresh._shapes = None
        if fresh._state:
            fresh.check_fits(fresh._state[0])
        vars(self).update(vars(fresh))

    def check_fits(self, params: Sequence[Array]) -> None:
        """Raise unless the optimizer can go on with `params`.

        Raises
        ------
        ValueError
            If the state is for parameters of other shapes or dtypes.
        TypeError
            If a parameter is not of a floating dtype.
        """
        for k, p in enumerate(params):
            if p.dtype.kind != "f":
                raise TypeError(f"{self!r}: parameter {k} is of dtype {p.dtype}, expected floats")
        theirs = [f"{_wide(p)}{list(p.shape)}" for p in params]
        for arrays in self._state:
            if (ours := [kind(a) for a in arrays]) != theirs:
                raise ValueError(f"{self!r}: the state is for {ours}, the parameters are {theirs}")

    def _begin(self, params: Sequence[Array], grads: Sequence[Array]) -> None:
        """Make the state for `params`, or find what does not fit."""
        shapes = [p.shape for p in params]
        if shapes != (came := [g.shape for g in grads]):
            raise ValueError(f"{self!r}: the gradients have shapes {came}, the parameters {shapes}")
        if self._shapes is not None and shapes != self._shapes:
            raise ValueError(
                f"{self!r}: the parameters have shapes {shapes}, before they had {self._shapes}; "
                "each net needs an optimizer of its own"
            )
        self.check_fits(params)
        if len(self._state) != len(self.slots):
            self._state = [[np.zeros_like(p, _wide(p)) for p in params] for _ in self.slots]
        self._shapes = shapes
        self._half = any(p.dtype == np.float16 for p in params)

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)}" for name in self.settings)
        return f"{type(self).__name__}({settings})"


def _wide(array: Array) -> np.dtype[Any]:
    """Return the dtype to work in: float16 has no room for the square of a small gradient."""
    return np.promote_types(array.dtype, np.float32)


def kind(array: Array) -> str:
    """Dtype and shape, such as ``float32[3, 4]``."""
    return f"{array.dtype}{list(array.shape)}"


def _count(name: str, what: str, value: Array) -> int:
    if value.ndim or value.dtype.kind not in "iu" or value < 0:
        raise ValueError(f"{name}: {what} is {value}, expected an integer, at least 0")
    return int(value)


def _blocks(*arrays: Array) -> Iterator[list[Any]]:
    """Yield pieces of arrays of one shape, whole rows, of about `_BLOCK` elements each."""
    rows = max(1, _BLOCK * len(arrays[0]) // arrays[0].size)
    for i in range(0, len(arrays[0]), rows):
        yield [array[i : i + rows] for array in arrays]
