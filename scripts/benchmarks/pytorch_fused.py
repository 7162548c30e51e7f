"""PyTorch, eager, with its fused optimizers."""

from __future__ import annotations

from . import pytorch
from .workloads import Array, Run, Workload


def prepare(workload: Workload, weights: list[Array], x: Array, t: Array) -> Run:
    """Build the same net as `pytorch`."""
    return pytorch.prepare(workload, weights, x, t, fused=True)
