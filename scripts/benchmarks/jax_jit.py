"""JAX: one jitted function gathers the batch, takes the gradient and updates in donated memory.

The losses stay on the device; `run` waits for the last step alone.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
from jax import lax
from jax import numpy as jnp

from .workloads import Array, Layer, Run, Workload

State = tuple[Any, ...]  # the weights; with Adam two moments of each, and the step


def prepare(workload: Workload, weights: list[Array], x: Array, t: Array) -> Run:
    """Write the net as one function of its weights."""
    jax.config.update("jax_enable_x64", x.dtype == "float64")
    inputs, targets = jnp.asarray(x), jnp.asarray(t)
    name, lr = workload.optimizer
    full_batch = workload.batch is None

    def loss(weights: list[Any], x: Any, t: Any) -> Any:
        y = _forward(workload.layers, weights, x)
        if full_batch:
            return jnp.sum((y - t) ** 2)
        log_p = jax.nn.log_softmax(y)
        return -jnp.mean(jnp.take_along_axis(log_p, t[:, None], axis=1))

    @partial(jax.jit, donate_argnums=0)
    def step(state: State, x: Any, t: Any, rows: Any) -> tuple[State, Any]:
        weights, *moments = state
        if not full_batch:
            x, t = x[rows], t[rows]
        value, grads = jax.value_and_grad(loss)(weights, x, t)
        if name == "sgd":
            return ([w - lr * g for w, g in zip(weights, grads, strict=True)],), value
        return _adam(weights, grads, moments, lr), value

    state: State = ([jnp.asarray(w) for w in weights],)
    if name == "adam":
        zeros = [[jnp.zeros_like(w) for w in weights] for _ in range(2)]
        state += (*zeros, 0)

    def run(epoch: list[Array]) -> list[Any]:
        nonlocal state
        losses = []
        for rows in epoch:
            state, value = step(state, inputs, targets, None if full_batch else rows)
            losses.append(value)
        jax.block_until_ready(state)
        return losses

    return run


def _forward(layers: tuple[Layer, ...], weights: list[Any], x: Any) -> Any:
    arrays = iter(weights)
    for kind, *sizes in layers:
        if kind == "matmul":
            x = x @ next(arrays)
        elif kind == "affine":
            x = x @ next(arrays) + next(arrays)
        elif kind == "convolution":
            x = _convolution(x, next(arrays), next(arrays), pad=sizes[-1])
        elif kind == "pool":
            window = (1, 1, sizes[0], sizes[0])
            x = lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")
        elif kind == "flatten":
            x = x.reshape(len(x), -1)
        else:
            x = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu}[kind](x)
    return x


def _convolution(x: Any, W: Any, b: Any, pad: int) -> Any:
    out = lax.conv_general_dilated(x, W, (1, 1), [(pad, pad), (pad, pad)])
    return out + b[:, None, None]


def _adam(weights: list[Any], grads: list[Any], moments: list[Any], lr: float) -> State:
    b1, b2, eps = 0.9, 0.999, 1e-8
    means, squares, t = moments
    t += 1
    means = [b1 * m + (1 - b1) * g for m, g in zip(means, grads, strict=True)]
    squares = [b2 * v + (1 - b2) * g * g for v, g in zip(squares, grads, strict=True)]
    rate, root = lr / (1 - b1**t), (1 - b2**t) ** 0.5
    weights = [
        w - rate * m / (jnp.sqrt(v) / root + eps)
        for w, m, v in zip(weights, means, squares, strict=True)
    ]
    return weights, means, squares, t
