"""PyTorch, eager: its layers, its losses and its default optimizers.

The losses stay tensors; nobody waits for their value.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from .workloads import Array, Layer, Run, Workload


def prepare(
    workload: Workload, weights: list[Array], x: Array, t: Array, fused: bool = False
) -> Run:
    """Build the net from `torch.nn`; with `fused`, the optimizer is one kernel."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    arrays = iter(map(torch.from_numpy, weights))
    net = nn.Sequential(*(_layer(spec, arrays) for spec in workload.layers))
    inputs, targets = torch.from_numpy(x), torch.from_numpy(t)
    name, lr = workload.optimizer
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[name]
    optimizer = kind(net.parameters(), lr=lr, **({"fused": True} if fused else {}))
    full_batch = workload.batch is None
    criterion = nn.MSELoss(reduction="sum") if full_batch else nn.CrossEntropyLoss()

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


def _layer(spec: Layer, arrays: Iterator[Any]) -> Any:
    kind, *sizes = spec
    if kind in ("matmul", "affine"):
        layer = nn.Linear(*sizes, bias=kind == "affine")
        layer.weight = nn.Parameter(next(arrays).T.contiguous())
    elif kind == "convolution":
        channels, filters, size, pad = sizes
        layer = nn.Conv2d(channels, filters, size, padding=pad)
        layer.weight = nn.Parameter(next(arrays))
    elif kind == "pool":
        return nn.MaxPool2d(*sizes)
    else:
        return {"sigmoid": nn.Sigmoid, "relu": nn.ReLU, "flatten": nn.Flatten}[kind]()
    if layer.bias is not None:
        layer.bias = nn.Parameter(next(arrays))
    return layer
