"""Back to before a forward: what it changes besides the layers' memory of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers._parts import places


class Rewind:
    """Keeps a net's buffers and Generators, in a microsecond or so, to put them back."""

    def __init__(self, net: Any) -> None:
        layers = [net, *(layer for _, layer in places(net))]
        self._buffers = [(a, name) for a in layers for name in getattr(a, "buffer_names", ())]
        self._generators = [
            (layer, name)
            for layer in layers
            for name, value in getattr(layer, "__dict__", {}).items()
            if isinstance(value, np.random.Generator)
        ]

    def mark(self) -> None:
        """Keep them as they are."""
        self._arrays = [getattr(layer, name).copy() for layer, name in self._buffers]
        self._states = [getattr(a, name).bit_generator.state for a, name in self._generators]

    def back(self) -> None:
        """Put them back as `mark` kept them."""
        for (layer, name), array in zip(self._buffers, self._arrays, strict=True):
            getattr(layer, name)[...] = array
        for (layer, name), state in zip(self._generators, self._states, strict=True):
            getattr(layer, name).bit_generator.state = state
