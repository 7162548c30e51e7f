"""Pictures of computational graphs: values forward, gradients backward, as SVG without extras."""

from __future__ import annotations

import copy
from os import PathLike, fspath
from os.path import splitext
from typing import Any

from ...layers.checks import arguments_of
from ...layers.nested import at, leaves
from ..function_stack import FunctionStack
from ..graph import Graph
from ..values import Value, as_gradient
from .unroll import Unrolled

__all__ = ["Picture", "draw"]

WIDTH = 1280  # px at which a row of nodes is wrapped


class Picture:
    """An SVG, which Jupyter shows: ``str(picture)`` is its text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text

    def _repr_svg_(self) -> str:
        return self._text

    def save(self, path: str | PathLike[str]) -> None:
        """Write the picture to ``.svg``, or to ``.png``, which needs cairosvg.

        Parameters
        ----------
        path : path
            Its suffix selects the format.

        Raises
        ------
        ValueError
            If it has another suffix.
        ImportError
            If cairosvg, or the library cairo that it needs, is missing.
        """
        kind = splitext(fspath(path))[1].lower()
        if kind == ".svg":
            with open(path, "w", encoding="utf-8") as file:
                file.write(self._text)
        elif kind == ".png":
            try:
                import cairosvg
            except (ImportError, OSError) as error:
                text = "a picture as .png needs cairosvg: pip install cairosvg"
                raise ImportError(f"{text} ({error})") from error
            cairosvg.svg2png(bytestring=self._text.encode(), write_to=fspath(path), scale=2)
        else:
            raise ValueError(
                f"Picture.save: {fspath(path)} ends in {kind!r}, expected .svg or .png"
            )

    def __repr__(self) -> str:
        return f"Picture(of {len(self._text):,} characters of SVG)"


def draw(
    net: Any,
    *inputs: Any,
    dout: Any = 1,
    names: Any = None,
    loss: Any = None,
    t: Any = None,
    depth: int | None = None,
) -> Picture:
    """Draw the computational graph: each value above its line, its gradient below.

    Parameters
    ----------
    net : layer or FunctionStack
        What to draw. A copy of a layer runs forward and backward, in the layer's mode, so the
        layer stays as it was. `Sequential`, `Parallel` and `Graph` are drawn layer by layer,
        `Branch` as a dot and `Identity` as a line; any other layer is one node. A `FunctionStack`
        is drawn with its current values and gradients.
    *inputs : number, array or tuple
        Inputs of the net.
    dout : number, array or tuple, default 1
        Upstream gradient of the output, or of the loss; 1 stands for ones.
    names : sequence of str, optional
        One flat sequence: names of the inputs, those of nested tuples from left to right, then of
        the outputs.
    loss : layer, optional
        A loss, whose value is drawn as the output and differentiated.
    t : array or tuple, optional
        The target of the loss.
    depth : int, optional
        Number of levels of nets to unfold: with 1 the layers of `net`, where nets are boxes. None
        unfolds all.

    Returns
    -------
    Picture
        Shown by Jupyter; ``str(picture)`` is the SVG, ``picture.save("net.svg")`` writes it.

    Raises
    ------
    TypeError
        If a layer comes without inputs, the loss without t, or a function stack with inputs, names
        or a loss.
    ValueError
        If there are more names than inputs and outputs, or the function stack is empty.

    Notes
    -----
    Small arrays are written out. Larger ones are given by shape and mean ± standard deviation,
    gradients by their Euclidean norm. A value that is used several times has its total gradient at
    its start and each term of the sum where it arrives.

    Examples
    --------
    >>> from chainrule.layers import MulLayer
    >>> picture = draw(MulLayer(), 100, 2, names=("apple", "number", "price"))
    >>> ">200</text>" in str(picture)
    True
    """
    if isinstance(net, FunctionStack):
        if inputs or names is not None or loss is not None:
            raise TypeError("draw(stack) takes no inputs, names or loss: they are in the stack")
        return _picture(net, (), ())
    if not inputs:
        raise TypeError("draw: the inputs are missing; give an example, as draw(net, x[:5])")
    if (loss is None) != (t is None):
        raise TypeError("draw: loss and t are given both or neither")
    net, loss = copy.deepcopy((net, loss))
    stack = Unrolled(depth)
    given = tuple(stack.value(each) for each in inputs)
    _rename([value for _, value in leaves(given)], _input_names(net, given))
    result = stack.push(net, given)
    if loss is not None:
        result = stack.push(loss, result, stack.value(t, "t"))
        result.name = "loss"
    if names is not None:
        _rename([value for _, value in (*leaves(given), *leaves(result))], names)
    stack.backward(result, dout)
    return _picture(stack, result, as_gradient(result, dout, stack))


def _picture(stack: FunctionStack, results: Any, douts: Any) -> Picture:
    if not stack.values:
        raise ValueError("draw: the function stack is empty")
    # Imported with the first picture: the import of chainrule.networks is a tenth faster.
    from .layout import place
    from .nodes import nodes_and_edges
    from .svg import svg

    nodes, edges = nodes_and_edges(stack, results, douts)
    return Picture(svg(place(nodes, edges, WIDTH), nodes, edges))


def _rename(values: list[Value], names: Any) -> None:
    names = [names] if isinstance(names, str) else list(names)
    if len(names) > len(values):
        raise ValueError(f"draw: {len(names)} names for {len(values)} inputs and outputs")
    for value, name in zip(values, names, strict=False):
        value.name = name


def _input_names(net: Any, given: tuple[Any, ...]) -> list[str]:
    """Return the names of forward's arguments, of connect's in a Graph, else x, x1, x2, ..."""
    function = net.connect if isinstance(net, Graph) else net.forward
    known = arguments_of(function)[isinstance(net, Graph) :]
    if len(known) >= len(given) and not any(p.kind is p.VAR_POSITIONAL for p in known):
        names = [p.name for p in known]
    else:
        names = ["x"] if len(given) == 1 else [f"x{k + 1}" for k in range(len(given))]
    flat = []
    for name, value in zip(names, given, strict=False):
        flat += [name + at(path) for path, _ in leaves(value)]
    return flat
