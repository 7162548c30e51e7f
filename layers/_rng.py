"""The one check that every random layer and initializer makes."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_generator(rng: Any, what: str) -> np.random.Generator:
    """Return `rng`, which must be a Generator: no seed, and no state that is everybody's."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{what} is {rng!r}, expected a numpy.random.Generator such as np.random.default_rng(0)"
        )
    return rng
