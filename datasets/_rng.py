"""The one check that every random function makes."""

from __future__ import annotations

import numpy as np


def check_rng(name: str, rng: object) -> None:
    """Refuse a seed, a RandomState and the module np.random, whose state is everybody's."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"{name}: rng is {rng!r}, expected numpy.random.default_rng(seed)")
