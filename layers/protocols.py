"""What users may bring: the methods that a layer and a loss must have, whatever their class."""

from __future__ import annotations

from typing import Any, Protocol, SupportsFloat


class LayerLike(Protocol):
    """An object with ``forward`` and ``backward``: a `Layer`, a net, or of any other class.

    One with parameters has ``param_names``, or lists ``params`` and ``grads``; see `Layer`.
    """

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Return the layer's value and remember what `backward` needs."""
        ...

    def backward(self, dout: Any, /) -> Any:
        """Return the gradient of each input and assign those of the parameters."""
        ...


class LossLike(Protocol):
    """A layer of a prediction and a target, whose value is a number."""

    def forward(self, *inputs: Any, **options: Any) -> SupportsFloat:
        """Return the loss of ``(y, t)``, or of ``(y, t, weights)``."""
        ...

    def backward(self, dout: Any, /) -> Any:
        """Return the gradient of ``y``."""
        ...
