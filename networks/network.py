"""What every network is, whatever it does with its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from os import PathLike
from typing import Any, Self, overload

from ..layers import Layer
from ..layers.base import Array
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
    """

    def __init__(self, *layers: Any) -> None:
        name = type(self).__name__
        for i, layer in enumerate(layers):
            if isinstance(layer, type):
                raise TypeError(
                    f"{name}: layer {i} is the class {layer.__name__}, expected an instance, "
                    f"such as {layer.__name__}(...)"
                )
            if not (hasattr(layer, "forward") and hasattr(layer, "backward")):
                raise TypeError(
                    f"{name}: layer {i} is {layer!r}, expected an object with forward and backward"
                )
        self.layers = layers
        places: dict[int, str] = {}
        for place, layer in _places(self):
            if id(layer) in places:
                raise ValueError(
                    f"{name}: the same {_title(layer)} stands at {places[id(layer)]} and {place}; "
                    "a layer remembers one forward, so it may stand at one place only"
                )
            places[id(layer)] = place
        self._trained = [(layer, name) for _, layer in _places(self) for name in _trained(layer)]

    @property
    def params(self) -> list[Array]:
        """The trained arrays of all layers; one that several layers share is listed once."""
        found: dict[int, Array] = {}
        for layer, name in self._trained:
            if name:
                param = getattr(layer, name)
                found[id(param)] = param
            else:
                found |= {id(param): param for param in layer.params}
        return list(found.values())

    @property
    def grads(self) -> list[Array]:
        """Their gradients from the latest `backward`; that of a shared array is the sum."""
        pairs: list[tuple[Array, Array]] = []
        for layer, name in self._trained:
            if name:
                pairs.append((getattr(layer, name), getattr(layer, "d" + name)))
            else:
                pairs += zip(layer.params, layer.grads, strict=True)
        total: dict[int, Array] = {}
        for param, grad in pairs:
            key = id(param)
            total[key] = total[key] + grad if key in total else grad
        return list(total.values())

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.layers)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Any:
        """Return one layer, or a network of the same kind over a slice of them."""
        return type(self)(*self.layers[index]) if isinstance(index, slice) else self.layers[index]

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
        rows = [(place, _title(layer), _count(layer)) for place, layer in _places(self)]
        rows.append(("", "total", sum(param.size for param in self.params)))
        place, title = (max(map(len, column)) for column in list(zip(*rows, strict=True))[:2])
        lines = [f"{a:<{place}}  {b:<{title}}  {c:>12,}" for a, b, c in rows]
        return "\n".join([f"{'':<{place}}  {'layer':<{title}}  {'parameters':>12}", *lines])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.layers))})"

    def _state(self) -> list[tuple[str, Array]]:
        state: list[tuple[str, Array]] = []
        for i, layer in enumerate(self.layers):
            if isinstance(layer, Layer):
                state += [(f"{i}.{name}", array) for name, array in layer._state()]
            else:
                params = getattr(layer, "params", [])
                state += [(f"{i}.params.{k}", param) for k, param in enumerate(params)]
        return state

    def _walk(self) -> Iterator[Any]:
        yield self
        for _, layer in _places(self):
            if hasattr(layer, "training"):
                yield layer

    def _note(self, error: Exception, layer: object) -> None:
        """Add to `error` where in the network it happened."""
        place = next(i for i, other in enumerate(self.layers) if other is layer)
        error.add_note(f"in {type(self).__name__}, layer {place}: {_title(layer)}")


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
    raise TypeError(f"{kind.__name__} has no backward()")


def _places(network: Network) -> Iterator[tuple[str, Any]]:
    """Yield all layers below `network` with their places, such as ``1.0``."""
    for i, layer in enumerate(network.layers):
        yield str(i), layer
        if isinstance(layer, Network):
            yield from ((f"{i}.{place}", below) for place, below in _places(layer))


def _trained(layer: Any) -> tuple[str, ...]:
    """Return the names of a layer's parameters, or one empty name if it lists them itself."""
    if isinstance(layer, Network):
        return ()  # its layers are listed themselves
    kind = type(layer)
    if isinstance(layer, Layer) and kind.params is Layer.params and kind.grads is Layer.grads:
        return layer.param_names
    return ("",) if hasattr(layer, "params") else ()


def _count(layer: Any) -> int:
    return sum(param.size for param in getattr(layer, "params", []))


def _title(layer: object) -> str:
    return type(layer).__name__ if isinstance(layer, Network) else repr(layer)
