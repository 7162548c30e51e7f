"""What users may bring to a training: an optimizer, and functions of several kinds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, SupportsFloat

import numpy as np

from ..layers.base import Array


class OptimizerLike(Protocol):
    """An object that moves parameters; for a schedule it also has ``lr``."""

    def step(self, params: Sequence[Array], grads: Sequence[Array], /) -> None:
        """Move the parameters in place against their gradients."""
        ...


class Schedule(Protocol):
    """A learning rate as a function of the step."""

    def __call__(self, step: int, /) -> float:
        """Return ``optimizer.lr`` for a step, counted from 0."""
        ...


class Metric(Protocol):
    """A measure of a net's outputs ``y`` for all rows of a data set."""

    def __call__(self, y: Any, t: Any, /) -> SupportsFloat:
        """Return the value for the targets ``t``."""
        ...


class Transform(Protocol):
    """A change of each training batch, such as augmentation."""

    def __call__(self, x: Any, t: Any, rng: np.random.Generator, /) -> Any:
        """Return the pair of new inputs and targets; what is random is drawn from `rng`."""
        ...
