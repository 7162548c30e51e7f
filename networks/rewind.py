"""Back to before a step that failed: what it changed besides the layers' memory of it."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from ..layers._parts import walk
from .generators import generators_within


class Rewind:
    """Keeps buffers and Generators while a block runs, and puts them back if it raises.

    Parameters
    ----------
    *layers : Layer
        A net, and what runs with it.
    """

    def __init__(self, *layers: Any) -> None:
        parts = [part for layer in layers for _, part in walk(layer)]
        self._buffers = [(a, name) for a in parts for name in getattr(a, "buffer_names", ())]
        _, self._generators = generators_within({str(k): a for k, a in enumerate(layers)})

    def __enter__(self) -> None:
        self._arrays = [getattr(layer, name).copy() for layer, name in self._buffers]
        self._states = [generator.state for generator in self._generators]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.back()

    def back(self) -> None:
        """Put them back as they were at the beginning of the block."""
        for (layer, name), array in zip(self._buffers, self._arrays, strict=True):
            getattr(layer, name)[...] = array
        for generator, state in zip(self._generators, self._states, strict=True):
            generator.state = state
