"""Shares of a batch, for threads and for ranks: their rows, and their random numbers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def shares(rows: int, most: int) -> list[slice]:
    """Split `rows` into at most `most` shares of about equal size.

    A share has at least two rows, which BatchNorm needs; a single row is one share.
    """
    count = max(1, min(most, rows // 2))
    ends = [rows * k // count for k in range(count + 1)]
    return [slice(*both) for both in pairwise(ends)]


def separate(bits: np.random.BitGenerator, number: int) -> None:
    """Move a copy of a Generator to the stream of share `number`, which follows from its state.

    Copies with equal states and different numbers, at least 1, get independent streams, the same
    ones in each run and after a resume.
    """
    words = np.random.Generator(bits).integers(2**32, size=4, dtype=np.uint32)
    bits.state = type(bits)(np.random.SeedSequence([number, *words.tolist()])).state
