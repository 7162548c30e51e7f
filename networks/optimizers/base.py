"""The base class of the optimizers: the loop over the parameters, its checks and its state."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ...layers.base import Array
from ...layers.device import as_numpy, moved
from ...layers.tree import state as state_of
from ...layers.undeclared import check_memory
from .hyperparameter import hyperparameter

_BLOCK = 65_536  # elements updated at a time, so that what a formula allocates stays in the cache


class Moments:
    """The state of one parameter: its arrays, one per slot, and its step count."""

    def __init__(self, param: Array, arrays: list[Array], t: int) -> None:
        self.param, self.arrays, self.t = param, arrays, t


class Optimizer:
    """Base class of the optimizers: the loop over the parameters, the checks and the state.

    A subclass names its arrays of state in `slots` and its numbers in `hyperparameters`, and
    writes its formula in ``_update(p, g, *slots)``, which changes p and the slots in place, such
    as ``p -= self.lr * g``; `self.t` counts the parameter's steps from 1.

    The state belongs to the arrays, not to their positions: a parameter that is left out of some
    steps, because its layer was frozen, later resumes from its own moments and step count.

    Parameters
    ----------
    lr : float
        Learning rate, at least 0. The attribute may be changed between steps.
    weight_decay : float
        At least 0; ``weight_decay * p`` is added to each gradient, as if the loss had a term
        ``weight_decay / 2 * |p|^2``.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range, also when it is assigned later.
    """

    slots: tuple[str, ...] = ()
    hyperparameters: ClassVar[tuple[str, ...]] = ("lr", "weight_decay")
    lr: float = hyperparameter()
    weight_decay: float = hyperparameter()

    def __init__(self, lr: float, weight_decay: float) -> None:
        if isinstance(lr, list):
            raise TypeError(
                f"{type(self).__name__}: lr is a list, expected a number; "
                "parameters are passed to step(params, grads)"
            )
        self.lr, self.weight_decay = lr, weight_decay
        self.t = 0
        self._moments: dict[int, Moments] = {}  # by the id of the parameter, which each holds
        self._loaded: list[tuple[list[Array], int]] = []  # a state that has met no parameters yet

    def step(self, params: Sequence[Array], grads: Sequence[Array]) -> None:
        """Update the parameters in place.

        Parameters
        ----------
        params : sequence of arrays
            The trained arrays, such as ``net.params``.
        grads : sequence of arrays
            Their gradients, in the same order.

        Raises
        ------
        ValueError
            If the gradients do not have the parameters' number and shapes, a parameter is given
            twice or is read-only, two share memory without being one array, or they do not match
            the loaded state; then nothing has changed.
        TypeError
            If they are not lists of arrays, or a parameter is not of a floating dtype.
        FloatingPointError
            If the optimizer squares the gradients, and one is too large for that; then nothing has
            changed.
        """
        new = not self._knows(params, grads)
        if new:
            self._check_arguments(params, grads)
        self._check(params, grads)
        if new:
            self._begin(params)
        if self.weight_decay:
            grads = self._decay(params, grads)
        steps, slots = self.t, len(self.slots)
        for p, g in zip(params, grads, strict=True):
            own = self._moments[id(p)]
            if len(own.arrays) != slots:
                self._start(own)
            own.t = self.t = own.t + 1
            if p.itemsize == 2:
                g = g.astype(_wide(g))
            self._update(p, g, *own.arrays)
        self.t = steps + 1

    def _check(self, params: Sequence[Array], grads: Sequence[Array]) -> None:
        """Raise if a gradient allows no step; nothing has changed yet."""

    def _decay(self, params: Sequence[Array], grads: Sequence[Array]) -> list[Array]:
        return [g + self.weight_decay * p for p, g in zip(params, grads, strict=True)]

    def _update(self, p: Array, g: Array, *state: Array) -> None:
        raise NotImplementedError

    def state_dict(self, params: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Return copies of all that the next step depends on.

        Parameters
        ----------
        params : dict of str to array, optional
            The parameters by the names that the state should have; those without moments are left
            out. By default they are numbered in the order in which the optimizer met them.

        Returns
        -------
        dict of str to array
            Class, hyperparameters, step counts and the arrays of the slots.
        """
        state = {"class": np.array(type(self).__name__), "t": np.array(self.t)}
        state |= {name: np.array(getattr(self, name)) for name in self.hyperparameters}
        if params is not None:
            self._bind(list(params.values()))
        for moments in self._moments.values():
            if len(moments.arrays) != len(self.slots):
                self._start(moments)
        if params is None:
            kept = [(m.arrays, m.t) for m in self._moments.values()]
            named = {str(k): moments for k, moments in enumerate(kept + self._loaded)}
        else:
            found = {name: self._moments.get(id(p)) for name, p in params.items()}
            named = {name: (m.arrays, m.t) for name, m in found.items() if m is not None}
        for name, (arrays, t) in named.items():
            state[f"t.{name}"] = np.array(t)
            for slot, array in zip(self.slots, arrays, strict=False):
                state[f"{slot}.{name}"] = np.array(as_numpy(array))
        return state

    def load_state_dict(
        self, state: Mapping[str, ArrayLike], params: Mapping[str, Array] | None = None
    ) -> None:
        """Resume from the `state_dict` of an optimizer of the same class.

        The hyperparameters become the saved ones.

        Parameters
        ----------
        state : dict of str to array
            From `state_dict`, or as older versions saved it.
        params : dict of str to array, optional
            The parameters by their names in the state. By default the next step's parameters take
            the moments in their order.

        Raises
        ------
        ValueError, TypeError
            If it is of another class, names are missing or unexpected, or a value is out of range;
            then nothing has changed.
        """
        new = {name: np.array(as_numpy(value)) for name, value in state.items()}
        name, fresh = type(self).__name__, copy.copy(self)
        if str(new.get("class")) != name:
            raise ValueError(f"{name}: the state is of class {new.get('class')}")
        if missing := {"t", *self.hyperparameters} - set(new):
            raise ValueError(f"{name}: the state has {sorted(new)}, expected {sorted(missing)} too")
        for key in self.hyperparameters:
            setattr(fresh, key, new[key].tolist())
        fresh.t = _count(name, "t", new["t"])
        old = "arrays" in new
        if old:  # a file in which the parameters had numbers and one step count
            count = _count(name, "arrays", new.pop("arrays"))
            if count > len(new):
                raise ValueError(f"{name}: the state claims {count} arrays, but is shorter")
            names = [str(k) for k in range(count)]
            new |= {f"t.{k}": new["t"] for k in names}
        else:
            names = [key.removeprefix("t.") for key in new if key.startswith("t.")]
        keys = [f"{slot}.{k}" for slot in ("t", *fresh.slots) for k in names]
        expected = {"class", "t", *self.hyperparameters, *keys}
        if set(new) != expected or (old and fresh.slots and bool(names) != bool(fresh.t)):
            raise ValueError(f"{name}: the state has {sorted(new)}, expected {sorted(expected)}")
        loaded = {
            k: ([new[f"{slot}.{k}"] for slot in fresh.slots], _count(name, "t", new[f"t.{k}"]))
            for k in names
        }
        fresh._moments, fresh._loaded = {}, list(loaded.values())
        for arrays, _ in fresh._loaded:
            if len({kind(a) for a in arrays}) > 1:
                raise ValueError(f"{fresh!r}: the state is for {list(map(kind, arrays))} in one")
            if any(a.dtype.kind != "f" or a.dtype == np.float16 for a in arrays):
                raise ValueError(f"{fresh!r}: the state holds {list(map(kind, arrays))}")
            if not all(np.isfinite(a).all() for a in arrays):
                raise ValueError(f"{fresh!r}: the state holds numbers that are not finite")
        if params is not None and fresh._loaded:
            if not old and (unknown := sorted(set(names) - set(params))):
                raise ValueError(
                    f"{fresh!r}: the state is for {unknown[:5]}, which the net does not have"
                )
            fresh._bind(list(params.values()) if old else [params[k] for k in names])
        vars(self).update(vars(fresh))

    def map_arrays(self, function: Callable[[Array], Array], net: Any) -> None:
        """``net.map_arrays(function)``, and each array of the state too: it follows its parameter.

        Parameters
        ----------
        function : function of an array
            Such as ``cupy.asarray``, which moves to a GPU, or ``cupy.asnumpy``.
        net : Layer
            The net whose parameters the optimizer moves. To map it alone would leave this state
            behind, which belongs to the arrays that were replaced.

        Notes
        -----
        If `function` raises, nothing has changed.
        """
        mapped = [[function(array) for array in m.arrays] for m in self._moments.values()]
        before = state_of(net)
        net.map_arrays(function)
        new = {id(before[name]): array for name, array in state_of(net).items()}
        for moments, arrays in zip(self._moments.values(), mapped, strict=True):
            moments.param = new.get(id(moments.param), moments.param)
            moments.arrays = arrays
        self._moments = {id(moments.param): moments for moments in self._moments.values()}

    def check_fits(self, params: Sequence[Array]) -> None:
        """Raise unless the optimizer can continue with `params`.

        Parameters
        ----------
        params : sequence of arrays
            The trained arrays.

        Raises
        ------
        ValueError
            If a loaded state is for parameters of other shapes or dtypes, a parameter is read-only,
            or two share memory without being one array.
        TypeError
            If a parameter is not of a floating dtype.
        """
        for k, p in enumerate(params):
            if p.dtype.kind != "f":
                raise TypeError(f"{self!r}: parameter {k} is of dtype {p.dtype}, expected floats")
            if isinstance(p, np.generic):
                raise TypeError(f"{self!r}: parameter {k} is a number, expected an array")
            if isinstance(p, np.ndarray) and not p.flags.writeable:
                raise ValueError(f"{self!r}: parameter {k} is read-only; train a copy of it")
        check_memory([(f"parameter {k}", p) for k, p in enumerate(params)])
        if not self._loaded:
            return
        theirs = [f"{_wide(p)}{list(p.shape)}" for p in params]
        ours = [kind(arrays[0]) if arrays else "" for arrays, _ in self._loaded]
        if len(ours) != len(theirs) or any(o not in ("", t) for o, t in zip(ours, theirs)):  # noqa: B905
            raise ValueError(f"{self!r}: the state is for {ours}, the parameters are {theirs}")

    def _bind(self, params: Sequence[Array]) -> None:
        """Give the loaded moments to the parameters, in their order."""
        if self._loaded:
            self.check_fits(params)
            both = zip(params, self._loaded, strict=True)
            self._moments = {
                id(p): Moments(p, [moved(a, p) for a in arrays], t) for p, (arrays, t) in both
            }
            self._loaded = []

    def _knows(self, params: Sequence[Array], grads: Sequence[Array]) -> bool:
        """Whether there are moments for all parameters, and the gradients have their shapes."""
        if self._loaded or not type(params) is type(grads) is list or len(params) != len(grads):
            return False
        for p, g in zip(params, grads, strict=True):
            if id(p) not in self._moments or p.shape != getattr(g, "shape", None):
                return False
        return True

    def _check_arguments(self, params: Sequence[Array], grads: Sequence[Array]) -> None:
        shapes, came = _shapes(self, "params", params), _shapes(self, "grads", grads)
        if shapes != came:
            raise ValueError(f"{self!r}: the gradients have shapes {came}, the parameters {shapes}")
        if len({*map(id, params)}) < len(params):
            raise ValueError(
                f"{self!r}: an array is twice in params, expected once, with the sum of its "
                "gradients, as net.params and net.grads give it"
            )
        self.check_fits(params)

    def _begin(self, params: Sequence[Array]) -> None:
        """Give the loaded moments to the parameters, and new ones to those that have none."""
        self._bind(params)
        for p in params:
            self._moments.setdefault(id(p), Moments(p, [], 0))

    def _start(self, moments: Moments) -> None:
        """Make the arrays of the slots: for a new parameter, or since momentum was set."""
        p = moments.param
        moments.arrays = [np.zeros_like(p, _wide(p)) for _ in self.slots]

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Find the parameters again, which a deep copy or a pickle has given other ids."""
        vars(self).update(state)
        self._moments = {id(moments.param): moments for moments in self._moments.values()}

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name}={getattr(self, name)}" for name in self.hyperparameters)
        return f"{type(self).__name__}({numbers})"


def _shapes(optimizer: Optimizer, name: str, arrays: Sequence[Array]) -> list[tuple[int, ...]]:
    try:
        if not isinstance(arrays, np.ndarray):
            return [array.shape for array in arrays]
    except (AttributeError, TypeError):
        pass
    raise TypeError(f"{optimizer!r}: {name} is {arrays!r:.60}, expected a list of arrays")


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


def elementwise(update: Callable[..., None]) -> Callable[..., None]:
    """Make an ``_update`` that works element by element take large arrays in pieces."""

    @wraps(update)
    def in_blocks(self: Optimizer, p: Array, *others: Array) -> None:
        if p.size <= _BLOCK:
            update(self, p, *others)
            return
        rows = max(1, _BLOCK * len(p) // p.size)
        for i in range(0, len(p), rows):
            update(self, p[i : i + rows], *(other[i : i + rows] for other in others))

    return in_blocks
