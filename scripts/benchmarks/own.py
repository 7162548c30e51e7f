"""chainrule itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import layers
from chainrule.networks import SGD, Adam, Sequential, Trainer

from .workloads import Array, Run, Workload


def prepare(workload: Workload, weights: list[Array], x: Array, t: Array) -> Run:
    """Build the net from the library's layers; a step is `Trainer.train_step`."""
    arrays = iter(weights)
    chain: list[Any] = []
    for kind, *sizes in workload.layers:
        if kind == "matmul":
            chain.append(layers.MatMul(next(arrays)))
        elif kind == "affine":
            chain.append(layers.Affine(next(arrays), next(arrays)))
        elif kind == "convolution":
            chain.append(layers.Convolution(next(arrays), next(arrays), pad=sizes[-1]))
        elif kind == "pool":
            chain.append(layers.MaxPooling(*sizes))
        else:
            kinds = {"sigmoid": layers.Sigmoid, "relu": layers.ReLU, "flatten": layers.Flatten}
            chain.append(kinds[kind]())
    full_batch = workload.batch is None
    loss = layers.MSELoss(reduction="sum") if full_batch else layers.CrossEntropyLoss()
    name, lr = workload.optimizer
    optimizer = {"sgd": SGD, "adam": Adam}[name](lr=lr)
    trainer = Trainer(Sequential(*chain), loss, optimizer, rng=np.random.default_rng(0))

    def run(epoch: list[Array]) -> list[Any]:
        if full_batch:
            return [trainer.train_step(x, t) for _ in epoch]
        return [trainer.train_step(x.take(rows, axis=0), t[rows]) for rows in epoch]

    return run
