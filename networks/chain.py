"""A network of layers in a row: their numbers, their gradients, and where an error happened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn, overload

import numpy as np

from ..layers.base import Layer
from ..layers.tree import label
from .gradients import backward_of, is_nothing, missing_return
from .network import Network


class Chain(Network):
    """A network whose layers have numbers: ``net[0]``, ``net[:-1]``, ``len(net)``.

    Parameters
    ----------
    *layers : objects with ``forward`` and ``backward``
        See `Network`, for the errors too.
    """

    took: str  # the kinds of the layers' inputs in forward, "f" for floats

    def __bool__(self) -> bool:
        return True  # also without layers

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.layers)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Chain: ...
    def __getitem__(self, index: int | slice) -> Any:
        """Return one layer, or a network of the same kind over a slice of them."""
        if not isinstance(index, slice):
            return self.layers[index]
        # A subclass that makes its own layers cannot be made of others.
        kind = next(c for c in type(self).__mro__ if c.__init__ is Network.__init__)  # type: ignore[misc]
        return kind(*self.layers[index])

    if not TYPE_CHECKING:  # type checkers know that it is an error

        def __setitem__(self, index: Any, layer: Any) -> NoReturn:
            name = type(self).__name__
            raise TypeError(
                f"{name}: its layers are fixed when it is made, such as {name}(*net[:-1], layer)"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.layers))})"

    def gradient_of(self, i: int, dout: Any) -> Any:
        """Run layer `i` back.

        Parameters
        ----------
        i : int
            Number of the layer.
        dout : number, array, tuple or None
            The gradient of its output.

        Returns
        -------
        number, array, tuple or None
            The gradient of its input.

        Raises
        ------
        TypeError
            If it is None although the input in forward held floats.
        """
        layer = self.layers[i]
        if type(dout) is np.ndarray and isinstance(layer, Layer):
            gradient = layer.backward(dout)
        else:
            gradient = backward_of(layer, dout)
        if type(gradient) is np.ndarray:
            return gradient
        if is_nothing(gradient) and self.took[i] == "f" and not is_nothing(dout):
            raise missing_return(layer, "backward")
        return gradient

    def note(self, error: Exception, layer: object) -> None:
        """Add to an error where in the network it happened.

        Parameters
        ----------
        error : Exception
            The error.
        layer : object
            The layer of this network that raised it.
        """
        place = next(i for i, other in enumerate(self.layers) if other is layer)
        error.add_note(f"in {type(self).__name__}, layer {place}: {label(layer)}")
