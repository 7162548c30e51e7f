"""chainrule itself."""

from __future__ import annotations

import numpy as np

from chainrule import layers
from chainrule.networks import SGD, Adam, Sequential, Trainer


def prepare(workload, weights, x, t):
    """Build the net from the library's layers; a step is `Trainer.train_step`."""
    arrays = iter(weights)
    chain = []
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
            names = {"sigmoid": "Sigmoid", "relu": "ReLU", "flatten": "Flatten"}
            chain.append(getattr(layers, names[kind])())
    full_batch = workload.batch is None
    loss = layers.MSELoss(reduction="sum") if full_batch else layers.CrossEntropyLoss()
    name, lr = workload.optimizer
    optimizer = {"sgd": SGD, "adam": Adam}[name](lr=lr)
    trainer = Trainer(Sequential(*chain), loss, optimizer, rng=np.random.default_rng(0))

    def run(epoch):
        if full_batch:
            return [trainer.train_step(x, t) for _ in epoch]
        return [trainer.train_step(x[rows], t[rows]) for rows in epoch]

    return run
