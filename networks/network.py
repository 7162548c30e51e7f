"""The base class of the networks: layers made of layers."""

from __future__ import annotations

from os import PathLike
from typing import Any

from ..layers import Layer
from ..layers.protocols import LayerLike
from ..layers.tree import is_layer
from ..layers.undeclared import check_declared
from .files import read_npz, write_npz
from .gradients import missing_return
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
            It shows itself in the interpreter and in Jupyter.
        """
        return summary(self, *inputs)


def call(layer: LayerLike, value: Any) -> Any:
    """``layer.forward(value)``, where a tuple is spread into the arguments."""
    out = layer.forward(*value) if isinstance(value, tuple) else layer.forward(value)
    if out is None:
        raise missing_return(layer, "forward")
    return out
