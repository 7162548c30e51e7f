"""chainrule itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule import layers
from chainrule.networks import SGD, Adam, Branch, DataParallel, Parallel, Sequential, Trainer
from chainrule.networks.parallel.threads import blas_for

from .workloads import Array, Layer, Run, Workload


def prepare(
    workload: Workload, weights: list[Array], x: Array, t: Array, threads: int | None = None
) -> Run:
    """Build the net from the library's layers; a step is `Trainer.train_step`.

    With `threads` so many run shares of each batch, and BLAS has one; else BLAS has them all.
    """
    arrays = iter(weights)
    chain = [_layer(spec, arrays) for spec in workload.layers]
    full_batch = workload.batch is None
    loss = layers.MSELoss(reduction="sum") if full_batch else layers.CrossEntropyLoss()
    name, lr = workload.optimizer
    optimizer = {"sgd": SGD, "adam": Adam}[name](lr=lr)
    net = Sequential(*chain)
    shares = net if threads is None else DataParallel(net, threads)
    trainer = Trainer(shares, loss, optimizer, rng=np.random.default_rng(0))

    def run(epoch: list[Array]) -> list[Any]:
        with blas_for(shares):  # as in Trainer.fit
            if full_batch:
                return [trainer.train_step(x, t) for _ in epoch]
            return [trainer.train_step(x.take(rows, axis=0), t[rows]) for rows in epoch]

    return run


def _layer(spec: Layer, arrays: Iterator[Array]) -> Any:
    kind, *sizes = spec
    if kind in ("matmul", "embedding", "position"):
        one = {"embedding": layers.Embedding, "position": layers.PositionalEmbedding}
        return one.get(kind, layers.MatMul)(next(arrays))
    if kind in ("affine", "norm"):
        two: dict[str, Any] = {"affine": layers.Affine, "norm": layers.LayerNorm}
        return two[kind](next(arrays), next(arrays))
    if kind == "convolution":
        return layers.Convolution(next(arrays), next(arrays), pad=sizes[-1])
    if kind == "lstm":
        return layers.LSTM(next(arrays), next(arrays), next(arrays))
    if kind == "block":
        size, heads = sizes
        return _block(size, heads, arrays)
    if kind == "pool":
        return layers.MaxPooling(*sizes)
    if kind == "last":
        return layers.Slice(np.s_[:, -1])
    return {"sigmoid": layers.Sigmoid, "relu": layers.ReLU, "flatten": layers.Flatten}[kind]()


def _block(size: int, heads: int, arrays: Iterator[Array]) -> Sequential:
    def take(n: int) -> list[Any]:
        return [next(arrays) for _ in range(n)]

    def residual(*parts: Any) -> Sequential:
        return Sequential(
            Branch(2), Parallel(Sequential(*parts), layers.Identity()), layers.AddLayer()
        )

    norm = layers.LayerNorm(*take(2))
    W, b, Wo, bo = take(4)
    attention = residual(norm, layers.SelfAttention(W, b, Wo, bo, heads, causal=True))
    norm = layers.LayerNorm(*take(2))
    up, down = layers.Affine(*take(2)), layers.Affine(*take(2))
    return Sequential(attention, residual(norm, up, layers.GELU(), down))
