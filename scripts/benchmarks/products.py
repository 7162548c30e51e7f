"""The matrix products of a step alone, by NumPy: a lower bound of the time with layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .workloads import Array, Run, Workload


def prepare(workload: Workload, weights: list[Array], x: Array, t: Array) -> Run:
    """Lay out the operands as training has them: x @ W, x.T @ dout, dout @ W.T."""
    pairs: list[tuple[Array, Array]] = []
    first, n = True, len(t) if workload.batch is None else workload.batch
    for kind, *sizes in workload.layers:
        if kind == "affine":
            k, m = sizes
            x, W, dout = (np.ones(shape, np.float32) for shape in ((n, k), (k, m), (n, m)))
            pairs += [(x, W), (x.T, dout)] + ([] if first else [(dout, W.T)])
            first = False

    def run(epoch: list[Array]) -> list[Any]:
        for _ in epoch:
            for a, b in pairs:
                a.dot(b)
        return []

    return run
