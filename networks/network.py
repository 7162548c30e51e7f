"""The base class of the networks: layers made of layers."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from typing import TYPE_CHECKING, Any, NoReturn, overload

import numpy as np

from ..layers import Layer
from ..layers.protocols import LayerLike
from ..layers.tree import is_layer, label
from ..layers.undeclared import check_declared
from .files import read_npz, write_npz
from .gradients import backward_of, is_nothing, missing_return, own_dout
from .summary import Summary, summary


class Network(Layer):
    """A layer made of layers.

    Parameters
    ----------
    *layers : objects with ``forward`` and ``backward``
        `Layer` objects, other networks, or objects of any class of your own, with ``params`` and
        ``grads`` lists where it has parameters. One object may occur only once, because it
        remembers one forward; two layers may share an array.

    Raises
    ------
    TypeError
        If something is not a layer, is a class instead of an instance, or owns a layer or an array
        that it does not declare.
    ValueError
        If one layer occurs twice, or two parameters share memory without being one array.
    """

    part_names: tuple[str, ...] = ("layers",)
    took: str  # the kinds of the layers' inputs in forward, "f" for floats

    def __init__(self, *layers: LayerLike) -> None:
        name = type(self).__name__
        for i, layer in enumerate(layers):
            if isinstance(layer, type):
                raise TypeError(
                    f"{name}: layer {i} is the class {layer.__name__}, expected an instance, "
                    f"such as {layer.__name__}(...)"
                )
            if not is_layer(layer):
                hint = f"; write {name}(*layers)" if isinstance(layer, list | tuple) else ""
                raise TypeError(
                    f"{name}: layer {i} is {layer!r:.80}, expected an object with forward and "
                    f"backward{hint}"
                )
        self.layers: tuple[Any, ...] = layers
        check_declared(self)

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.layers)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Network: ...
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

    def save(self, path: str | PathLike[str]) -> None:
        """Write the parameters and buffers to a file ``.npz``; an old one is replaced at the end.

        Parameters
        ----------
        path : path
            Name of the file.

        Raises
        ------
        OSError
            If the file cannot be written; then the old one stays.
        """
        write_npz(path, self.state_dict())

    def load(self, path: str | PathLike[str]) -> None:
        """Read the parameters and buffers that `save` wrote.

        Parameters
        ----------
        path : path
            Name of the file.

        Raises
        ------
        ValueError
            If the file is damaged, holds a pickle, or does not match; then nothing has changed.
        """
        state = read_npz(path)
        try:
            self.load_state_dict(state)
        except ValueError as error:
            error.add_note(f"in {path}")
            raise

    def summary(self, *inputs: Any) -> Summary:
        """Return a table of the layers: places, numbers of parameters and what is frozen.

        Each array is counted once, in the layer that holds it itself.

        Parameters
        ----------
        *inputs : array, number or tuple
            With inputs, as `predict` takes them, the table has the shapes of the outputs too.

        Returns
        -------
        str
            It shows itself at a prompt and in Jupyter.
        """
        return summary(self, *inputs)

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
        if dout is None or (type(dout) is tuple and is_nothing(dout)):
            return backward_of(self.layers[i], dout)
        gradient = self.layers[i].backward(own_dout(self.layers[i], dout))
        if type(gradient) is not np.ndarray and is_nothing(gradient) and self.took[i] == "f":
            raise missing_return(self.layers[i], "backward")
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


def call(layer: LayerLike, value: Any) -> Any:
    """``layer.forward(value)``, where a tuple is spread into the arguments."""
    out = layer.forward(*value) if type(value) is tuple else layer.forward(value)
    if out is None:
        raise missing_return(layer, "forward")
    return out
