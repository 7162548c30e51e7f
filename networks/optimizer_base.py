"""What every optimizer is: the loop over the parameters, its checks and its state."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..layers.base import Array

_BLOCK = 65_536  # elements updated at a time, so that what a formula allocates stays in the cache


class Optimizer:
    """What the optimizers share: the loop over the parameters, the checks and the state.

    A subclass names its arrays of state in `slots` and its numbers in `settings`, and writes its
    formula in ``_update(p, g, *slots)``, where `self.t` counts the steps from 1.

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

    def __init__(self, lr: float, weight_decay: float) -> None:
        self.lr = lr
        self.weight_decay = self._at_least_0("weight_decay", weight_decay)
        self.t = 0
        self._state: list[list[Array]] = []  # for each slot the arrays of all parameters
        self._shapes: list[tuple[int, ...]] | None = None  # of the parameters, once seen

    @property
    def lr(self) -> float:
        """Learning rate."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        # A Python float: a np.float64 would turn float32 parameters into float64 on the way.
        self._lr = self._at_least_0("lr", value)

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
        if not ([p.shape for p in params] == [g.shape for g in grads] == self._shapes):
            self._begin(params, grads)
        self.t += 1
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
        for slot, arrays in zip(self.slots, self._state, strict=bool(self._state)):
            state |= {f"{slot}.{k}": array.copy() for k, array in enumerate(arrays)}
        return state

    def load_state_dict(self, state: Mapping[str, ArrayLike]) -> None:
        """Go on from a `state_dict` of the same class; the settings become the saved ones.

        Raises
        ------
        ValueError
            If it is of another class, or names are missing or unknown; then nothing has changed.
        """
        new = {name: np.array(value) for name, value in state.items()}
        name = type(self).__name__
        if str(new.get("class")) != name:
            raise ValueError(f"{name}: the state is of class {new.get('class')}")
        numbers = ["t", *self.settings]
        count = sum(key.startswith(f"{self.slots[0]}.") for key in new) if self.slots else 0
        slots = [[f"{slot}.{k}" for k in range(count)] for slot in self.slots]
        expected = {"class", *numbers, *chain.from_iterable(slots)}
        if set(new) != expected:
            raise ValueError(f"{name}: the state has {sorted(new)}, expected {sorted(expected)}")
        for number in numbers:
            setattr(self, number, new[number].tolist())
        self._state = [[new[key] for key in keys] for keys in slots] if count else []
        self._shapes = None

    def _begin(self, params: Sequence[Array], grads: Sequence[Array]) -> None:
        """Make the state for `params`, or find what does not fit."""
        for k, p in enumerate(params):
            if p.dtype.kind != "f":
                raise TypeError(f"{self!r}: parameter {k} is of dtype {p.dtype}, expected floats")
        shapes = [p.shape for p in params]
        if shapes != (came := [g.shape for g in grads]):
            raise ValueError(f"{self!r}: the gradients have shapes {came}, the parameters {shapes}")
        if self._shapes is not None:
            raise ValueError(
                f"{self!r}: the parameters have shapes {shapes}, before they had {self._shapes}; "
                "each net needs an optimizer of its own"
            )
        for arrays in self._state:  # loaded
            ours, theirs = [_kind(a) for a in arrays], [_kind(p) for p in params]
            if ours != theirs:
                raise ValueError(f"{self!r}: the state is for {ours}, the parameters are {theirs}")
        if not self._state:
            self._state = [[np.zeros_like(p) for p in params] for _ in self.slots]
        self._shapes = shapes

    def _at_least_0(self, name: str, value: float) -> float:
        if not 0 <= value < math.inf:
            raise ValueError(f"{type(self).__name__}: {name} is {value}, expected at least 0")
        return float(value)

    def _below_1(self, name: str, value: float) -> float:
        if not 0 <= value < 1:
            raise ValueError(
                f"{type(self).__name__}: {name} is {value}, expected at least 0 and below 1"
            )
        return float(value)

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)}" for name in self.settings)
        return f"{type(self).__name__}({settings})"


def _kind(array: Array) -> str:
    return f"{array.dtype}{list(array.shape)}"


def _blocks(*arrays: Array) -> Iterator[list[Any]]:
    """Yield pieces of arrays of one shape, whole rows, of about `_BLOCK` elements each."""
    rows = max(1, _BLOCK * len(arrays[0]) // arrays[0].size)
    for i in range(0, len(arrays[0]), rows):
        yield [array[i : i + rows] for array in arrays]
