"""The nodes and lines of a picture, made of the calls and values of a function stack."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...layers import AddLayer, MulLayer
from ...layers.nested import leaves
from ...layers.tree import label, parts
from ..calls import Call
from ..function_stack import FunctionStack
from ..values import Value
from .layout import Item, Line
from .texts import backward_lines, forward_lines, full, norm, number

LEADING = 16  # from line to line of the texts, of 13 px
CHARACTER = 7.6  # the mean width of one, rounded up
BOLD = 1.15  # times as wide
SIGNS = {MulLayer: "\u00d7", AddLayer: "+"}


@dataclass(eq=False)
class Node(Item):
    """A call, an input or an output."""

    kind: str = "box"  # or "sign", "input", "output"
    text: str = ""
    rows: list[tuple[str, str, str]] = field(default_factory=list)  # class, name and numbers
    title: str = ""
    body: float = 0  # half its height


@dataclass(eq=False)
class Edge(Line):
    """A value, its texts, and those of the gradients that arrive from its uses."""

    value: Value = field(default_factory=lambda: Value(0))
    forward: list[str] = field(default_factory=list)
    backward: list[str] = field(default_factory=list)
    most: int = 16  # numbers in a title
    parts: list[tuple[list[str], Any]] = field(default_factory=list)  # of each end: lines, gradient


def nodes_and_edges(
    stack: FunctionStack, results: Any, douts: Any
) -> tuple[list[Node], list[Edge]]:
    """Return what to draw: nodes in their columns, and the values between them.

    The values `results`, of gradients `douts`, are outputs even where a call uses them too; values
    that no call uses are outputs anyway.
    """
    uses: dict[int, list[tuple[Node, int, Any]]] = {id(value): [] for value in stack.values}
    made: dict[int, tuple[Node, int]] = {}
    columns: dict[int, int] = {}
    sources: list[Node] = []
    sinks: list[Node] = []
    calls: list[tuple[Call, Node]] = []
    most = 16 if len(stack.calls) <= 200 else 2
    for call in stack.calls:
        node = _call_node(call, most)
        inputs = [value for _, value in leaves(call.inputs)]
        node.column = max((columns.get(id(value), 0) for value in inputs), default=0) + 1
        gradients = [leaf for _, leaf in leaves(_spread(call.inputs, call.gradients))]
        for k, (value, gradient) in enumerate(zip(inputs, gradients, strict=True)):
            uses[id(value)].append((node, k, gradient))
        for k, (_, value) in enumerate(leaves(call.output)):
            made[id(value)], columns[id(value)] = (node, k), node.column
        calls.append((call, node))
    _move_to_users(calls, uses)
    wide = max(columns.values(), default=0) > 5
    ends: dict[int, list[Any]] = {}
    for (_, value), (_, dout) in zip(leaves(results), leaves(douts), strict=True):
        ends.setdefault(id(value), []).append(dout)
    for value in stack.values:
        if id(value) not in made:  # an input
            near = min((node.column for node, _, _ in uses[id(value)]), default=1)
            text = value.name or ""
            node = Node(kind="input", text=text, width=_width([text]) * BOLD + 8)
            node.above, node.below, node.column = 9, 9, near - 1 if wide else 0
            made[id(value)] = node, 0
            sources.append(node)
        for dout in ends.get(id(value), [] if uses[id(value)] else [None]):
            start = made[id(value)][0]
            text = (value.name or "") if start.kind != "input" else ""
            node = Node(kind="output", text=text, width=_width([text]) * BOLD + 10)
            node.above, node.below, node.column = 9, 9, start.column + 1
            uses[id(value)].append((node, 0, dout))
            sinks.append(node)
    edges = [_edge(value, *made[id(value)], uses[id(value)], most) for value in stack.values]
    _set_ports(edges, calls)
    return [*sources, *(node for _, node in calls), *sinks], edges


def _move_to_users(
    calls: list[tuple[Call, Node]], uses: dict[int, list[tuple[Node, int, Any]]]
) -> None:
    """Move calls whose inputs are used elsewhere too next to where their output is used."""
    for call, node in reversed(calls):
        users = [use[0].column for _, v in leaves(call.output) for use in uses[id(v)]]
        shared = all(len(uses[id(value)]) > 1 for _, value in leaves(call.inputs))
        if users and shared:
            node.column = max(node.column, min(users) - 1)


def _edge(
    value: Value, start: Node, port: int, uses: list[tuple[Node, int, Any]], most: int
) -> Edge:
    edge = Edge(start, float(port), value=value, most=most)
    edge.forward, edge.backward = forward_lines(value.data), backward_lines(value.grad)
    edge.label = _width(edge.forward + edge.backward)
    for node, k, gradient in uses:
        lines = backward_lines(gradient) if len(uses) > 1 else []
        edge.parts.append((lines, gradient))
        edge.ends.append((node, float(k), _width(lines)))
    return edge


def _set_ports(edges: list[Edge], calls: list[tuple[Call, Node]]) -> None:
    """Convert the numbers of ports to heights, and make the nodes as high as their ports need."""
    arriving: dict[int, int] = {}  # lines of text at the node's inputs
    leaving: dict[int, tuple[int, int]] = {}
    for edge in edges:
        for (node, _, _), (lines, _) in zip(edge.ends, edge.parts, strict=True):
            arriving[id(node)] = max(arriving.get(id(node), 0), len(lines))
        up, down = leaving.get(id(edge.start), (0, 0))
        leaving[id(edge.start)] = max(up, len(edge.forward)), max(down, len(edge.backward))
    steps = {}
    for call, node in calls:
        ins, outs = (sum(1 for _ in leaves(v)) for v in (call.inputs, call.output))
        into = max(20, LEADING * arriving.get(id(node), 0) + 8)
        up, down = leaving[id(node)]
        out = LEADING * (up + down) + 16
        steps[id(node)] = (into, (ins - 1) / 2), (out, (outs - 1) / 2)
        high = max(into * (ins - 1), out * (outs - 1)) / 2
        texts = 40 if node.kind == "sign" else LEADING * (len(node.rows) + 1) + 14
        body = max(texts / 2, high + 10)
        node.above = max(body, out * (outs - 1) / 2 + LEADING * up + 6)
        lowest = into * (ins - 1) / 2 + LEADING * arriving.get(id(node), 0) + 6
        node.below = max(body, out * (outs - 1) / 2 + LEADING * down + 6, lowest)
        node.body = body
    for edge in edges:
        if id(edge.start) in steps:
            step, middle = steps[id(edge.start)][1]
            edge.port = (edge.port - middle) * step
        else:
            edge.start.above = max(9, LEADING * len(edge.forward) + 6)
            edge.start.below = max(9, LEADING * len(edge.backward) + 6)
        for k, (node, port, width) in enumerate(edge.ends):
            if id(node) in steps:
                step, middle = steps[id(node)][0]
                edge.ends[k] = node, (port - middle) * step, width
            else:
                node.below = max(9, LEADING * len(edge.parts[k][0]) + 6)


def _call_node(call: Call, most: int) -> Node:
    layer: Any = call.layer
    title = " ".join(repr(call.layer).split())
    if type(layer) in SIGNS:
        return Node(width=40, kind="sign", text=SIGNS[type(layer)], title=title)
    name = label(layer).removesuffix("()")
    node = Node(text=name if len(name) <= 26 else type(layer).__name__, title=title[:300])
    params = list(getattr(layer, "params", ()))
    grads = call.dparams if params and call.dparams is not None else [None] * len(params)
    names = getattr(layer, "param_names", ())
    if names and not parts(layer):
        by_id = dict(zip(map(id, params), grads, strict=True))
        for each in names:
            array, grad = getattr(layer, each), by_id.get(id(getattr(layer, each)))
            node.rows += _rows("forward", each, forward_lines(array))
            node.rows += _rows("backward", "d" + each, backward_lines(grad))
            if most > 2:
                node.title += f"\n{each} = {full(array, most)}\nd{each} = {full(grad, most)}"
    elif params:
        count = sum(param.size for param in params)
        node.rows.append(("forward", "", f"{count:,} parameters"))
        if known := [grad for grad in grads if grad is not None]:
            node.rows.append(("backward", "", f"|grad| {number(norm(*known), 3)}"))
    numbers = _width([text for _, _, text in node.rows])
    node.width = max(_width([node.text]) * BOLD + 20, names_width(node) + numbers + 22, 56)
    return node


def _rows(kind: str, name: str, lines: list[str]) -> list[tuple[str, str, str]]:
    return [(kind, name if k == 0 else "", line) for k, line in enumerate(lines)]


def names_width(node: Node) -> float:
    """Return the width of a box's column of parameter names."""
    widest = _width([name for _, name, _ in node.rows])
    return 1.1 * widest + 12 if widest else 0


def _width(lines: list[str]) -> float:
    return CHARACTER * max(map(len, lines), default=0)


def _spread(values: Any, gradients: Any) -> Any:
    """Return the gradients in the structure of the values, None where there are none."""
    if not isinstance(values, tuple):
        return gradients
    each = gradients if gradients is not None else (None,) * len(values)
    return tuple(_spread(v, g) for v, g in zip(values, each, strict=True))
