"""A picture as SVG: lines, boxes and texts."""

from __future__ import annotations

from html import escape

from .layout import Layout
from .nodes import LEADING, Edge, Node, names_width
from .texts import full

# Blue and orange are distinct in all common colour blindness; both have a contrast above 4.5.
STYLE = """
.chainrule .page { fill: #ffffff }
.chainrule text { font: 13px "DejaVu Sans", Verdana, Arial, sans-serif; fill: #1f2328;
  text-anchor: middle }
.chainrule .forward { fill: #0a56b0 }
.chainrule .backward { fill: #b84300 }
.chainrule .start { text-anchor: start }
.chainrule .end { text-anchor: end }
.chainrule .sign { font-size: 22px }
.chainrule .layer, .chainrule .name { font-weight: bold }
.chainrule .note { font-size: 11px }
.chainrule .node { fill: #eef3fb; stroke: #3c5a80; stroke-width: 1.4 }
.chainrule .line { fill: none; stroke: #7d8590; stroke-width: 1.6; stroke-linecap: round }
.chainrule .broken { stroke-dasharray: 3 4; stroke-linecap: butt }
.chainrule .tip { fill: #7d8590 }
"""
DARK = """
.chainrule .page { fill: #0d1117 }
.chainrule text { fill: #e6edf3 }
.chainrule .forward { fill: #79b8ff }
.chainrule .backward { fill: #ffa657 }
.chainrule .node { fill: #1b2636; stroke: #8fb1dd }
.chainrule .line { stroke: #848d97 }
.chainrule .tip { fill: #848d97 }
"""
MARGIN = 18
LEGEND = 250  # its width


def svg(layout: Layout, nodes: list[Node], edges: list[Edge]) -> str:
    """Return the picture."""
    width, height = max(layout.width + 2 * MARGIN, LEGEND), layout.height + 2 * MARGIN + 22
    has_gradients = any(edge.backward for edge in edges)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chainrule" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
        "<title>Computational graph</title>",
        f"<style>{STYLE}@media (prefers-color-scheme: dark) {{{DARK}}}\n</style>",
        f'<rect class="page" width="{width:.0f}" height="{height:.0f}" rx="8"/>',
        f'<g transform="translate({MARGIN} {MARGIN})">',
    ]
    for edge in edges:
        parts += _lines(edge, layout)
    for edge in edges:
        parts += _labels(edge, layout)
    for node in nodes:
        parts += _node(node)
    parts.append("</g>")
    legend = '<tspan class="forward">values, forward</tspan>'
    if has_gradients:
        legend += ' · <tspan class="backward">gradients, backward</tspan>'
    place = f'x="{MARGIN}" y="{height - 10:.0f}"'
    parts.append(f'<text class="note start" {place}>{legend}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _lines(edge: Edge, layout: Layout) -> list[str]:
    """Draw a value's line column by column, with a dot where it forks."""
    lines, broken, tips, dots = "", "", "", ""
    last = max(node.column for node, _, _ in edge.ends)
    for column in range(edge.start.column, last):
        item, port = edge.at(column)
        gap, y = layout.gaps[column], item.y + port
        left = item.x + item.width if item is edge.start else layout.gaps[column - 1].end
        lines += f"M{left:.0f} {y:.1f}H{gap.bends:.0f}"
        if gap.resume != gap.bends:  # continues in the next row
            broken += f"M{gap.bends:.0f} {y:.1f}h20"
            y += layout.shifts[column + 1] - layout.shifts[column]
            broken += f"M{gap.resume - 22:.0f} {y:.1f}h22"
        arriving = edge.arriving(column + 1)
        for there, other, _ in arriving:
            half, end = (gap.resume + gap.arrivals) / 2, there.y + other
            lines += f"M{gap.resume:.0f} {y:.1f}"
            if abs(end - y) > 0.5:
                lines += f"C{half:.0f} {y:.1f} {half:.0f} {end:.1f} {gap.arrivals:.0f} {end:.1f}"
            if isinstance(there, Node):
                tip = _edge_of(there, other)
                lines += f"H{tip - 6:.1f}"
                tips += f"M{tip:.1f} {end:.1f}l-9-4v8z"
            else:
                lines += f"H{gap.end:.0f}"
        if len(arriving) > 1:
            dots += f'<circle class="tip" cx="{gap.resume:.0f}" cy="{y:.1f}" r="3.5"/>'
    found = [("line", lines), ("line broken", broken), ("tip", tips)]
    return [f'<path class="{kind}" d="{d}"/>' for kind, d in found if d] + [dots] * bool(dots)


def _labels(edge: Edge, layout: Layout) -> list[str]:
    """Write the value above its line and its gradient below, its terms where they arrive."""
    gap, y = layout.gaps[edge.start.column], edge.start.y + edge.port
    x = gap.labels + 8 + edge.label / 2
    name = f"{edge.value.name}: " if edge.value.name else ""
    title = f"{name}{full(edge.value.data, edge.most)}"
    if edge.backward:
        title += f"\ngradient: {full(edge.value.grad, edge.most)}"
    found = [f"<g><title>{escape(title)}</title>"]
    for k, text in enumerate(reversed(edge.forward)):
        found.append(_text("forward", text, x, y - 6 - LEADING * k))
    for k, text in enumerate(edge.backward):
        found.append(_text("backward", text, x, y + 15 + LEADING * k))
    found.append("</g>")
    for (node, port, width), (lines, gradient) in zip(edge.ends, edge.parts, strict=True):
        if lines:
            found.append(f"<g><title>part: {escape(full(gradient, edge.most))}</title>")
            x = layout.gaps[node.column - 1].end - 12 - width / 2
            for k, text in enumerate(lines):
                found.append(_text("backward", text, x, node.y + port + 14 + LEADING * k))
            found.append("</g>")
    return found


def _node(node: Node) -> list[str]:
    if node.kind == "input":
        return [_text("name", node.text, node.x + node.width - 6, node.y + 4.5, anchor="end")]
    if node.kind == "output":
        return [_text("name", node.text, node.x + 6, node.y + 4.5, anchor="start")]
    radius = 20 if node.kind == "sign" else 6
    middle, top = node.x + node.width / 2, node.y - LEADING * len(node.rows) / 2
    kind, down = ("sign", 7.5) if node.kind == "sign" else ("layer", 4.5)
    found = [
        f"<g><title>{escape(node.title)}</title>"
        f'<rect class="node" x="{node.x:.1f}" y="{node.y - node.body:.1f}" '
        f'width="{node.width:.1f}" height="{2 * node.body:.1f}" rx="{radius}"/>',
        _text(kind, node.text, middle, top + down),
    ]
    for k, (kind, name, numbers) in enumerate(node.rows, 1):
        x, y = node.x + 11, top + LEADING * k + 4.5
        found.append(_text(kind, name, x, y, anchor="start"))
        found.append(_text(kind, numbers, x + names_width(node), y, anchor="start"))
    return [*found, "</g>"]


def _edge_of(node: Node, port: float) -> float:
    """Return the x at which a line meets the node, whose corners may be round."""
    if node.kind != "sign":
        return node.x
    deep = max(abs(port) - (node.body - 20), 0)
    return node.x + 20 - (400 - deep * deep) ** 0.5


def _text(kind: str, text: str, x: float, y: float, anchor: str = "middle") -> str:
    if not text:
        return ""
    kind = kind if anchor == "middle" else f"{kind} {anchor}"
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}">{escape(text)}</text>'
