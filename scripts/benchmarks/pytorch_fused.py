"""PyTorch, eager, with its fused optimizers."""

from __future__ import annotations

from . import pytorch


def prepare(workload, weights, x, t):
    """Build the same net as `pytorch`."""
    return pytorch.prepare(workload, weights, x, t, fused=True)
