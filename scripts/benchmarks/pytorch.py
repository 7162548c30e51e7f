"""PyTorch, eager: its layers, its losses and its default optimizers.

The losses stay tensors; nobody waits for their value.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import nn

from .pytorch_layers import layer
from .workloads import Array, Run, Workload


def prepare(
    workload: Workload, weights: list[Array], x: Array, t: Array, fused: bool = False
) -> Run:
    """Build the net from `torch.nn`; with `fused`, the optimizer is one kernel."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    arrays = iter(map(torch.from_numpy, weights))
    net = nn.Sequential(*(layer(spec, arrays) for spec in workload.layers))
    inputs, targets = torch.from_numpy(x), torch.from_numpy(t)
    name, lr = workload.optimizer
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[name]
    optimizer = kind(net.parameters(), lr=lr, **({"fused": True} if fused else {}))
    full_batch = workload.batch is None
    criterion = nn.MSELoss(reduction="sum") if full_batch else _cross_entropy

    def step(x: Any, t: Any) -> Any:
        optimizer.zero_grad()
        loss = criterion(net(x), t)
        loss.backward()
        optimizer.step()
        return loss.detach()

    def run(epoch: list[Array]) -> list[Any]:
        if full_batch:
            return [step(inputs, targets) for _ in epoch]
        return [step(inputs[rows], targets[rows]) for rows in map(torch.from_numpy, epoch)]

    return run


def _cross_entropy(y: Any, t: Any) -> Any:
    return nn.functional.cross_entropy(y.flatten(0, -2), t.flatten())
