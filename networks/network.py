"""What every network is, whatever it does with its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from os import PathLike
from typing import Any, overload

from ..layers import Layer
from ..layers._parts import is_layer, label, may_have_parts, walk
from .checkpoint import read_npz, write_npz


class Network(Layer):
    """A layer made of layers.

    Parameters
    ----------
    *layers : objects with ``forward`` and ``backward``
        `Layer` objects, other networks, or objects of any class of your own, with ``params`` and
        ``grads`` lists where it has parameters. One object may stand at one place only, since it
        remembers one forward; two layers may share an array.

    Raises
    ------
    TypeError
        If something is not a layer, or is a class instead of an instance.
    ValueError
        If one layer stands at two places.

    Notes
    -----
    Which arrays are trained is remembered, and looked up anew when a mode or another attribute is
    set. A layer that makes its parts in its first forward is therefore run by `predict` once.
    """

    def __init__(self, *layers: Any) -> None:
        name = type(self).__name__
        for i, layer in enumerate(layers):
            if isinstance(layer, type):
                raise TypeError(
                    f"{name}: layer {i} is the class {layer.__name__}, expected an instance, "
                    f"such as {layer.__name__}(...)"
                )
            if not is_layer(layer):
                raise TypeError(
                    f"{name}: layer {i} is {layer!r}, expected an object with forward and backward"
                )
        self.layers = layers
        found: dict[int, str] = {}
        for i, layer in enumerate(layers):
            below = [(id(part), place, part) for place, part in walk(layer, str(i))]
            for key, place, part in below:
                if key in found:
                    raise ValueError(
                        f"{name}: the same {label(part)} stands at {found[key]} and {place}; "
                        "a layer remembers one forward, so it may stand at one place only"
                    )
            found |= {key: place for key, place, _ in below}

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        self.__dict__["_pairs"] = None  # perhaps of another net now

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
        # A subclass that makes its own layers is no kind to make of others.
        kind = next(c for c in type(self).__mro__ if c.__init__ is Network.__init__)  # type: ignore[misc]
        return kind(*self.layers[index])

    def save(self, path: str | PathLike[str]) -> None:
        """Write the parameters and buffers to `path` as ``.npz``; an old file stays until then."""
        write_npz(path, self.state_dict())

    def load(self, path: str | PathLike[str]) -> None:
        """Read the parameters and buffers that `save` wrote.

        Raises
        ------
        ValueError
            If the file is damaged, holds a pickle, or is of another net; then nothing has changed.
        """
        state = read_npz(path)
        try:
            self.load_state_dict(state)
        except ValueError as error:
            error.add_note(f"in {path}")
            raise

    def summary(self) -> str:
        """Return a table of the layers and how many parameters each has."""
        rows = [(place, label(layer), _count(layer)) for place, layer in walk(self) if place]
        rows.append(("", "total", sum(param.size for param in self.params)))
        left, middle = (max(map(len, column)) for column in list(zip(*rows, strict=True))[:2])
        lines = [f"{a:<{left}}  {b:<{middle}}  {c:>12,}" for a, b, c in rows]
        return "\n".join([f"{'':<{left}}  {'layer':<{middle}}  {'parameters':>12}", *lines])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.layers))})"

    def _trained(self) -> list[tuple[Any, str]]:
        if self._pairs is None:
            others = {n: a for n, a in vars(self).items() if n not in ("layers", "_pairs")}
            if may_have_parts(others.values()):
                return super()._trained()
            pairs = [(self, name) for name in self.param_names]
            self.__dict__["_pairs"] = pairs + [p for layer in self.layers for p in _pairs(layer)]
        return self._pairs

    def _note(self, error: Exception, layer: object) -> None:
        """Add to `error` where in the network it happened."""
        place = next(i for i, other in enumerate(self.layers) if other is layer)
        error.add_note(f"in {type(self).__name__}, layer {place}: {label(layer)}")


def call(layer: Any, value: Any) -> Any:
    """``layer.forward(value)``, where a tuple is spread into the arguments."""
    return layer.forward(*value) if type(value) is tuple else layer.forward(value)


def params_only(layer: Any) -> Callable[[Any], Any]:
    """Return ``layer.backward_params``, which leaves out dx, or else ``layer.backward``.

    The nearer of the two counts: where a subclass writes its own ``backward``, that is called.
    """
    if "backward" in getattr(layer, "__dict__", ()):
        return layer.backward
    return getattr(layer, _nearer(type(layer)))  # type: ignore[arg-type]  # a class is hashable


@cache
def _nearer(kind: type) -> str:
    for cls in kind.__mro__:
        for name in ("backward_params", "backward"):
            if name in vars(cls):
                return name
    return "backward"  # perhaps by __getattr__


def _pairs(layer: Any) -> list[tuple[Any, str]]:
    """Return a layer's parameters as `Layer._trained` does, by name where it cannot have parts."""
    if isinstance(layer, Layer) and layer._derives and not may_have_parts(vars(layer).values()):
        return [(layer, name) for name in layer.param_names]
    return [(layer, "")] if isinstance(layer, Layer) or hasattr(layer, "params") else []


def _count(layer: Any) -> int:
    return sum(param.size for param in getattr(layer, "params", []))
