"""The workloads: the nets, losses, optimizers and batches of all peers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Layer = tuple[Any, ...]
Run = Callable[[list[Array]], list[Any]]  # what a peer's `prepare` returns


@dataclass(frozen=True)
class Workload:
    """One net and how it is trained.

    Layers are ("affine", inputs, outputs), ("matmul", inputs, outputs), ("sigmoid",), ("relu",),
    ("convolution", channels, filters, size, pad), ("pool", size), ("flatten",); of sequences
    ("embedding", vocab, size), ("position", length, size), ("lstm", inputs, hidden), ("last",),
    ("norm", size) and a transformer's ("block", size, heads). The loss is cross entropy, or without
    batches the sum of squares. The optimizer is ("sgd" or "adam", rate).
    """

    title: str
    layers: tuple[Layer, ...]
    optimizer: tuple[str, float]
    batch: int | None  # None: all rows in each step
    epochs: int  # timed in each round
    steps: int = 1  # of a sequence

    @property
    def images(self) -> bool:
        """Whether the input has the shape (N, 1, 28, 28)."""
        return self.layers[0][0] == "convolution"

    def data(self) -> tuple[Array, Array]:
        """Return the inputs and targets: MNIST's sample, the table of XOR, or drawn words."""
        from chainrule.datasets import load_mnist_sample, xor_truth_table

        if self.batch is None:
            return xor_truth_table()
        kind, size, *_ = self.layers[0]
        if kind == "embedding":
            words = np.random.default_rng(0).integers(size, size=(20 * self.batch, self.steps + 1))
            return words[:, :-1], words[:, 1:]
        (x, t), _ = load_mnist_sample(flatten=not self.images)
        if kind == "lstm":
            x = x.reshape(-1, self.steps, size)
        whole = len(x) // self.batch * self.batch
        return x[:whole], t[:whole].astype(np.int64)

    def flat(self) -> list[Layer]:
        """Return the layers, with those of each block in its place."""
        found: list[Layer] = []
        for kind, *sizes in self.layers:
            if kind == "block":
                D, heads = sizes
                found += [("norm", D), ("affine", D, 3 * D), ("attention", D, heads)]
                found += [("affine", D, D), ("norm", D)]
                found += [("affine", D, 4 * D), ("affine", 4 * D, D)]
            else:
                found.append((kind, *sizes))
        return found

    def weights(self, rng: np.random.Generator, dtype: Any) -> list[Array]:
        """Draw the initial weights and biases, layer by layer."""
        arrays: list[Array] = []
        for kind, *sizes in self.flat():
            if kind == "matmul":
                arrays.append(rng.uniform(-1, 1, sizes))
            elif kind == "affine":
                inputs, outputs = sizes
                arrays += [rng.normal(0, (2 / inputs) ** 0.5, sizes), np.zeros(outputs)]
            elif kind == "convolution":
                channels, filters, size, _ = sizes
                scale = (2 / (channels * size * size)) ** 0.5
                arrays += [
                    rng.normal(0, scale, (filters, channels, size, size)),
                    np.zeros(filters),
                ]
            elif kind == "lstm":
                D, H = sizes
                arrays += [rng.uniform(-1, 1, (n, 4 * H)) / H**0.5 for n in (D, H)]
                arrays.append(np.zeros(4 * H))
            elif kind in ("embedding", "position"):
                arrays.append(rng.normal(0, 0.1, sizes))
            elif kind == "norm":
                arrays += [np.ones(sizes), np.zeros(sizes)]
        return [array.astype(dtype) for array in arrays]

    def orders(self, rng: np.random.Generator, rows: int) -> Array:
        """Draw the rows of each batch of the timed epochs: shape (epochs, steps, batch)."""
        if self.batch is None:
            return np.tile(np.arange(rows), (self.epochs, 6000, 1))
        orders = [rng.permutation(rows).reshape(-1, self.batch) for _ in range(self.epochs)]
        return np.array(orders)

    def products(self) -> list[tuple[int, int, int]]:
        """Return the sizes (n, k, m) of the matrix products in a step, images unfolded.

        Each takes three, forward, dW and dx; the first needs no dx.
        """
        batch, side = self.batch or 4, 28
        rows = batch * self.steps
        found: list[tuple[int, int, int]] = []
        for kind, *sizes in self.flat():
            products: list[tuple[int, int, int]] = []
            if kind == "pool":
                side //= sizes[0]
            elif kind == "last":
                rows = batch
            elif kind in ("affine", "matmul"):
                products = [(rows, *sizes)]
            elif kind == "convolution":
                channels, filters, size, pad = sizes
                side += 2 * pad - size + 1
                products = [(rows * side * side, channels * size * size, filters)]
            elif kind == "lstm":
                D, H = sizes
                products = [(rows, D, 4 * H), (rows, H, 4 * H)]
            elif kind == "attention":
                D, heads = sizes
                d, T = D // heads, self.steps
                products = [(rows * heads, d, T), (rows * heads, T, d)]
            for n, k, m in products:
                found += [(n, k, m), (k, n, m)] + ([(n, m, k)] if found else [])
        return found

    def operations(self) -> int:
        """Return the floating-point operations of these products."""
        return sum(2 * n * k * m for n, k, m in self.products())


def _convolutions(*shapes: tuple[int, int]) -> list[Layer]:
    layers: list[Layer] = []
    for channels, filters in shapes:
        layers += [("convolution", channels, filters, 3, 1), ("relu",)]
    return [*layers, ("pool", 2)]


def _dense(width: int, batch: int, epochs: int) -> Workload:
    return Workload(
        f"784-{width}-{width}-10, ReLU, Adam, batch {batch}",
        (
            *(("affine", 784, width), ("relu",)),
            *(("affine", width, width), ("relu",)),
            ("affine", width, 10),
        ),
        ("adam", 0.001),
        batch=batch,
        epochs=epochs,
    )


WORKLOADS = {
    "A": Workload(
        "784-50-10, sigmoid, SGD, batch 100",
        (("affine", 784, 50), ("sigmoid",), ("affine", 50, 10)),
        ("sgd", 0.1),
        batch=100,
        epochs=20,
    ),
    "B": _dense(512, batch=128, epochs=5),
    "C": Workload(
        "convolution 30 5x5, pool, affine 100, affine 10, Adam, batch 100",
        (
            *(("convolution", 1, 30, 5, 0), ("relu",), ("pool", 2), ("flatten",)),
            *(("affine", 4320, 100), ("relu",)),
            ("affine", 100, 10),
        ),
        ("adam", 0.001),
        batch=100,
        epochs=2,
    ),
    "C2": Workload(
        "four convolutions 3x3 of 16, 16, 32, 32, affine 128, affine 10, Adam, batch 100",
        (
            *_convolutions((1, 16), (16, 16)),
            *_convolutions((16, 32), (32, 32)),
            ("flatten",),
            *(("affine", 32 * 7 * 7, 128), ("relu",)),
            ("affine", 128, 10),
        ),
        ("adam", 0.001),
        batch=100,
        epochs=1,
    ),
    "D": Workload(
        "3-4-1, sigmoid, sum of squares, 4 rows, float64",
        (("matmul", 3, 4), ("sigmoid",), ("matmul", 4, 1), ("sigmoid",)),
        ("sgd", 0.5),
        batch=None,
        epochs=10,
    ),
    "E1": Workload(
        "rows of digits, 28 steps: LSTM 128, affine 10, Adam, batch 100",
        (("lstm", 28, 128), ("last",), ("affine", 128, 10)),
        ("adam", 0.001),
        batch=100,
        epochs=2,
        steps=28,
    ),
    "E2": Workload(
        "35 of 10,000 words: embedding 100, LSTM 100, affine, Adam, batch 20",
        (("embedding", 10_000, 100), ("lstm", 100, 100), ("affine", 100, 10_000)),
        ("adam", 0.001),
        batch=20,
        epochs=2,
        steps=35,
    ),
    "E3": Workload(
        "GPT, 64 of 65 characters: 4 blocks, 4 heads, size 128, Adam, batch 12",
        (
            *(("embedding", 65, 128), ("position", 64, 128)),
            *(("block", 128, 4),) * 4,
            *(("norm", 128), ("affine", 128, 65)),
        ),
        ("adam", 0.001),
        batch=12,
        epochs=2,
        steps=64,
    ),
    # how the cost of B grows with the batch and with the width
    "B32": _dense(512, batch=32, epochs=2),
    "B512": _dense(512, batch=512, epochs=5),
    "W128": _dense(128, batch=128, epochs=5),
    "W2048": _dense(2048, batch=128, epochs=1),
}
