"""How a window moves over images: its size, stride, dilation and padding."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from ..checks import Pair


class Window(NamedTuple):
    """How a kernel moves over images: output h sees at tap i the row ``h s + i d - p``.

    A tap is a place (i, j) in the kernel. Size, stride s, dilation d, padding p before (above and
    left of) the image and after it are pairs (rows, columns).
    """

    size: Pair
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    before: Pair = (0, 0)
    after: Pair = (0, 0)

    @property
    def disjoint(self) -> bool:
        """Whether no pixel lies in two windows."""
        return self.stride[0] >= self.size[0] and self.stride[1] >= self.size[1]

    def outputs(self, size: Pair) -> Pair:
        """Return how many outputs fit into an image of `size`; 0 or less if none does."""
        height, width = (
            (n + before + after - d * (k - 1) - 1) // s + 1
            for n, k, s, d, before, after in zip(size, *self, strict=True)
        )
        return height, width

    def inputs(self, size: Pair) -> Pair:
        """Return the size of the smallest image with outputs of this size."""
        height, width = (
            (n - 1) * s + d * (k - 1) + 1 - before - after
            for n, k, s, d, before, after in zip(size, *self, strict=True)
        )
        return height, width

    def taps(self, size: Pair, outputs: Pair) -> Iterator[tuple[Any, Any]]:
        """Yield for each tap, in row-major order, which outputs see a pixel there, and which pixel.

        Both are indices, the first of an array of outputs and the second of images of `size`:
        ``out[first] += x[second]`` over all taps sums up each window.
        """
        for place in product(*map(range, self.size)):
            (h, row), (w, column) = (
                overlap(i * d - p, s, m, n)
                for i, s, d, p, m, n in zip(place, *self[1:4], outputs, size, strict=True)
            )
            yield (..., h, w), (..., row, column)


def overlap(first: int, step: int, count: int, size: int) -> tuple[slice, slice]:
    """Return which of `count` positions ``first, first + step, ...`` lie on an axis of `size`.

    The first slice selects among the positions, the second gives their places on the axis. Of the
    4 positions -1, 1, 3, 5 an axis of length 5 has ``slice(1, 3)``, at ``1:5:2``.
    """
    start = min(count, max(0, -(first // step)))
    stop = max(start, min(count, -((first - size) // step)))
    place = first + start * step
    return slice(start, stop), slice(place, place + (stop - start) * step, step)
