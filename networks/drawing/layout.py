"""The layout of nodes and lines of a graph: columns from left to right, in rows of a page.

A line leaves its node straight for the length of its label, then bends to the height of its end,
and arrives straight. A line over several columns keeps a lane free in each. Boxes, texts
and lanes of a column are kept apart, so no line runs through a box or a text.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

GAP = 14  # smallest vertical distance


@dataclass(eq=False)
class Item:
    """What occupies a place in a column: a node, or a lane, through which a line passes."""

    width: float = 0
    above: float = 0  # how far it reaches up from y, its labels too
    below: float = 0
    column: int = 0
    y: float = 0
    x: float = 0  # of its left edge
    shared: bool = False  # a lane of a value that is used elsewhere too
    left: list[tuple[Item, float, float]] = field(default_factory=list)  # item, its port, mine
    right: list[tuple[Item, float, float]] = field(default_factory=list)  # item, its port, mine


@dataclass(eq=False)
class Line:
    """A value on its way from a node to those that use it."""

    start: Item
    port: float  # height of the port, from the node's y
    label: float = 0  # width of the label at its start
    ends: list[tuple[Item, float, float]] = field(default_factory=list)  # node, port, label width
    lanes: dict[int, Item] = field(default_factory=dict)

    def at(self, column: int) -> tuple[Item, float]:
        """Return the item that the line leaves `column` from, and the height of its port."""
        return (self.start, self.port) if column == self.start.column else (self.lanes[column], 0.0)

    def arriving(self, column: int) -> list[tuple[Item, float, float]]:
        """Return its ends in `column`: nodes, and its lane."""
        lane = self.lanes.get(column)
        found = [end for end in self.ends if end[0].column == column]
        return found + ([(lane, 0.0, 0.0)] if lane is not None else [])


@dataclass
class Gap:
    """The space between a column and the next, by its x: labels, then bends, then arrivals."""

    labels: float  # the right edge of the column, where lines leave straight
    bends: float  # where they begin to bend
    resume: float  # the same, or in the next row where that is below
    arrivals: float = 0  # where they are straight again
    end: float = 0  # the left edge of the next column


@dataclass
class Layout:
    """The gaps between the columns, and where the page puts them."""

    gaps: list[Gap]
    shifts: list[float]  # of each column, down the page
    width: float
    height: float


def place(items: Sequence[Item], lines: Sequence[Line], width: float) -> Layout:
    """Give the nodes of each column their places, and a line a lane in each column it passes.

    `items` stand in their columns in this order at first; `lines` lead to higher columns. A row is
    broken before it is wider than `width`.
    """
    columns: list[list[Item]] = [[] for _ in range(max(i.column for i in items) + 1)]
    for item in items:
        columns[item.column].append(item)
    for line in lines:
        last = max(node.column for node, _, _ in line.ends)
        for column in range(line.start.column + 1, last):
            line.lanes[column] = lane = Item(above=5, below=5, column=column)
            lane.shared = len(line.ends) > 1
            columns[column].append(lane)
        for column in range(line.start.column, last):
            here, port = line.at(column)
            for there, other, _ in line.arriving(column + 1):
                here.right.append((there, other, port))
                there.left.append((here, port, other))
    _order(columns)
    _set_heights(columns)
    return _set_widths(columns, lines, width)


def _order(columns: list[list[Item]]) -> None:
    """Order each column by the mean position of its neighbours, with the fewest crossings found."""
    best = [list(column) for column in columns]
    least = _crossings(columns)
    for sweep in range(8):
        if not least:
            break
        back = sweep % 2 == 1
        for column in columns[::-1] if back else columns:
            column.sort(key=partial(_mean_place, back=back))
            for k, item in enumerate(column):
                item.y = k
        found = _crossings(columns)
        if found < least:
            least, best = found, [list(column) for column in columns]
    columns[:] = best


def _mean_place(item: Item, back: bool) -> float:
    near = item.right if back else item.left
    if not near:
        return item.y
    return sum(other.y + port / 1e4 for other, port, _ in near) / len(near)


def _crossings(columns: list[list[Item]]) -> int:
    """Count the crossings between columns; gives every item its index as y."""
    for column in columns:
        for k, item in enumerate(column):
            item.y = k
    count = 0
    for column in columns:
        links = sorted(
            (item.y + mine / 1e4, other.y + port / 1e4)
            for item in column
            for other, port, mine in item.right
        )
        seen: list[float] = []
        for _, end in links:
            count += len(seen) - bisect_right(seen, end)
            insort(seen, end)
    return count


def _set_heights(columns: list[list[Item]]) -> None:
    """Choose the y of all items that minimize the sum of weight |dy| over the lines, exactly.

    A linear program, whose solutions make most lines straight: lanes weigh most.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    items = [item for column in columns for item in column]
    index = {id(item): k for k, item in enumerate(items)}
    links = [(i, mine, j, port) for i in items for j, port, mine in i.right]
    entries: list[tuple[int, int, float]] = []
    bounds: list[float] = []
    for column in columns:
        for a, b in pairwise(column):
            entries += [(len(bounds), index[id(a)], 1), (len(bounds), index[id(b)], -1)]
            bounds.append(-_apart(a, b))
    for k, (i, mine, j, port) in enumerate(links, len(items)):
        for sign in (1, -1):
            row = len(bounds)
            entries += [(row, index[id(i)], sign), (row, index[id(j)], -sign), (row, k, -1)]
            bounds.append(sign * (port - mine))
    cost = [1e-3] * len(items) + [_weight(i, j) for i, _, j, _ in links]
    if bounds:
        rows, cols, data = zip(*entries, strict=True)
        matrix: Any = coo_array((data, (rows, cols)), shape=(len(bounds), len(cost))).tocsr()
        solution = linprog(cost, A_ub=matrix, b_ub=bounds, method="highs").x
        for item, y in zip(items, np.asarray(solution), strict=False):
            item.y = float(y)
    for _ in range(2):
        for column in columns:
            for k, item in enumerate(column):
                _centre(item, column[k - 1] if k else None, column[k + 1 : k + 2])


def _weight(a: Item, b: Item) -> float:
    """Return the weight of a line's straightness: the largest within a lane."""
    if not b.width:
        return 4 if a.width else 8
    if not a.width:
        return 3 if a.shared else 1
    return 2 if len(a.right) == len(b.left) == 1 else 1


def _apart(a: Item, b: Item) -> float:
    return a.below + b.above + GAP


def _centre(item: Item, upper: Item | None, lower: list[Item]) -> None:
    """Move a node to the middle of its inputs, as far as its neighbours leave room."""
    wanted = sorted((o.y + port - mine, _weight(o, item)) for o, port, mine in item.left)
    if not item.width or not wanted:
        return
    half, passed, found = sum(w for _, w in wanted) / 2, 0.0, []
    for y, weight in wanted:  # the weighted median, which may be between two
        if passed <= half <= passed + weight:
            found.append(y)
        passed += weight
    middle = sum(found) / len(found)
    if lower:
        middle = min(middle, lower[0].y - _apart(item, lower[0]))
    if upper is not None:
        middle = max(middle, upper.y + _apart(upper, item))
    item.y = middle


def _set_widths(columns: list[list[Item]], lines: Sequence[Line], width: float) -> Layout:
    """Give columns their x, wrap them into rows, and shift each row to its place on the page."""
    labels, arrivals, bends = ([0.0] * len(columns) for _ in range(3))
    for line in lines:
        c = line.start.column
        labels[c] = max(labels[c], line.label)
        for node, _, label in line.ends:
            arrivals[node.column] = max(arrivals[node.column], label)
    for k, column in enumerate(columns):
        links = [(i, *link) for i in column for link in i.right]
        steep = max((abs(j.y + port - i.y - mine) for i, j, port, mine in links), default=0.0)
        bends[k] = min(24 + 0.3 * steep, 90) if steep > 0.5 else 6
    wide = [max(item.width for item in column) for column in columns]
    steps = [wide[0] + labels[0] + 16]
    for k in range(1, len(columns)):
        steps.append(bends[k - 1] + arrivals[k] + 14 + wide[k] + labels[k] + 16)
    rows = _rows(steps, [any(item.right for item in column) for column in columns], width)
    starts = {row.start for row in rows}
    gaps: list[Gap] = []
    x = right = 0.0
    for k, column in enumerate(columns):
        if k:
            gap = gaps[-1]
            gap.resume = 22.0 if k in starts else gap.bends
            gap.arrivals = gap.resume + bends[k - 1]
            gap.end = x = gap.arrivals + arrivals[k] + 14
        for item in column:  # sources end at the right of their column, others are in its middle
            item.x = x + (wide[k] - item.width) / (2 if item.left else 1) if item.width else x
        x += wide[k]
        gaps.append(Gap(x, x + labels[k] + 16, x + labels[k] + 16))
        right = max(right, gaps[-1].bends + 22 if k + 1 < len(columns) else x)
    shifts: list[float] = []
    top = 0.0
    for row in rows:
        inside = [item for k in row for item in columns[k]]
        before = columns[row.start - 1] if row.start else []  # their lines continue in this row
        ends = [i.y - shifts[-1] + mine for i in before for _, _, mine in i.right]
        high = min([i.y - i.above for i in inside] + [y - 8 for y in ends])
        low = max([i.y + i.below for i in inside] + [y + 8 for y in ends])
        for item in inside:
            item.y += top - high
        shifts += [top - high] * len(row)
        top += low - high + 3 * GAP
    return Layout(gaps, shifts, right, top - 3 * GAP)


def _rows(steps: list[float], may_start: list[bool], width: float) -> list[range]:
    """Break columns into as few rows as `width` allows, and those as equally long as they can be.

    The outputs alone never start a row.
    """
    rows: list[range] = []
    while True:
        found, first, end, longest = [], 0, 0.0, 0.0
        for k, step in enumerate(steps):
            if end and end + step + 24 > width and may_start[k]:
                found.append(range(first, k))
                first, end = k, 22.0
            end += step
            longest = max(longest, end)
        found.append(range(first, len(steps)))
        if rows and (len(found) > len(rows) or longest + 24 > width):
            return rows
        rows, width = found, longest + 23
