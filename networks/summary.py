"""The table of a net's layers."""

from __future__ import annotations

from typing import Any

from ..layers.nested import map_leaves
from ..layers.protocols import LayerLike
from ..layers.tree import label, layers_of, own_params, params_of, twin, walk
from .watch import watch


class Summary(str):
    """A text that shows itself as it prints, also in the interpreter and in Jupyter."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def summary(net: LayerLike, *inputs: Any) -> Summary:
    """Return a table of the layers of a net, with the shapes of their outputs for some inputs."""
    shapes = _output_shapes(net, inputs) if inputs else {}
    rows = [("", "layer", "output shape" if inputs else "", "parameters", "")]
    trained, seen = {*map(id, params_of(layers_of(net)))}, set[int]()
    total = frozen = 0
    for place, layer in walk(net):
        new = {id(param): param.size for param in own_params(layer) if id(param) not in seen}
        seen |= set(new)
        count = sum(new.values())
        total += count
        frozen += sum(size for key, size in new.items() if key not in trained)
        if place:
            shape, mark = shapes.get(place, ""), "frozen" if getattr(layer, "frozen", False) else ""
            rows.append((place, label(layer), shape, f"{count:,}", mark))
    rows.append(("", "total", "", f"{total:,}", f"{frozen:,} frozen" if frozen else ""))
    a, b, c, d, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = (f"{p:<{a}}  {q:<{b}}  {r:<{c}}  {s:>{d}}  {m}".rstrip() for p, q, r, s, m in rows)
    return Summary("\n".join(lines))


def _output_shapes(net: LayerLike, inputs: tuple[Any, ...]) -> dict[str, str]:
    """Run a copy forward in evaluation mode and note the shapes."""
    copy = twin(net)
    copy.eval()
    found: dict[str, str] = {}

    def note(place: str, out: Any) -> None:
        found[place] = str(map_leaves(lambda value: tuple(getattr(value, "shape", ())), out))

    watch(copy, note)
    copy.forward(*inputs)
    return found
