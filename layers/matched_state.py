"""Whether a state fits a layer: what `Layer.load_state_dict` checks before it copies anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .checks import check_unmasked
from .device import Array, as_numpy
from .tree import layers_of, own_params
from .tree import state as state_of


def matched_state(
    layer: Any, state: Mapping[str, ArrayLike], partial: bool = False
) -> dict[str, Array]:
    """Return what `Layer.load_state_dict` copies, or raise its errors; the layer stays as it is."""
    mine, name = state_of(layer), type(layer).__name__
    if not isinstance(state, Mapping):
        raise TypeError(
            f"{name}: the state is a {type(state).__name__}, expected a dict of arrays such as "
            "state_dict() returns; net.load(path) reads a file"
        )
    for key, value in state.items():
        check_unmasked(value, f"{name}: state {key!r}")
    new = {key: as_numpy(array) for key, array in state.items()}
    missing, unexpected = sorted(set(mine) - set(new)), sorted(set(new) - set(mine))
    if partial:
        if not (fit := {k: a for k, a in mine.items() if k in new and new[k].shape == a.shape}):
            raise ValueError(
                f"{name}: nothing of the state matches in name and shape: it has "
                f"{_first(list(new))}, the layer has {_first(list(mine))}"
            )
        mine = fit
    elif missing or unexpected:
        raise ValueError(
            f"{name}: the state does not match: missing {_first(missing)}, "
            f"unexpected {_first(unexpected)}"
        )
    params = {id(param) for owner in layers_of(layer) for param in own_params(owner)}
    matched: dict[str, Array] = {}
    first: dict[int, str] = {}
    for key, array in mine.items():
        came = new[key]
        if came.shape != array.shape or came.dtype.kind != array.dtype.kind:
            raise ValueError(
                f"{name}: state {key!r} is {came.dtype} of shape {came.shape}, "
                f"expected {array.dtype} of shape {array.shape}"
            )
        if isinstance(array, np.ndarray) and not array.flags.writeable:
            raise ValueError(f"{name}: {key!r} is read-only")
        with np.errstate(over="ignore"):
            matched[key] = cast = came.astype(array.dtype)  # a copy: it may be the net's own
        if cast.dtype.kind == "f":
            wrong = ~np.isfinite(cast)
            if id(array) not in params:  # a buffer may hold -inf, for a greatest value so far
                wrong &= np.isfinite(came)
            if wrong.any():
                raise ValueError(
                    f"{name}: state {key!r} holds {came[wrong].flat[0]}, not finite in {cast.dtype}"
                )
        other = first.setdefault(id(array), key)
        if not np.array_equal(cast, matched[other], equal_nan=cast.dtype.kind == "f"):
            raise ValueError(f"{name}: {other!r} and {key!r} share an array but differ")
    return matched


def _first(names: list[str]) -> str:
    shown = ", ".join(f"{name!r:.40}" for name in names[:5])
    return f"[{shown}{f', ... ({len(names)} in all)' if len(names) > 5 else ''}]"
