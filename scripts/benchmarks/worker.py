"""Times one peer at one workload, in a process of its own: prints JSON.

Usage: ``python -m benchmarks.worker WORKLOAD PEER``, where the folder $BENCHMARK_DATA holds the
data, weights and batches in WORKLOAD.npz; or ``python -m benchmarks.worker peak``.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from .workloads import WORKLOADS


def train(name: str, peer: str) -> dict[str, float]:
    """Return the loss over ten untimed steps, and the seconds per step after them."""
    workload = WORKLOADS[name]
    with np.load(Path(os.environ["BENCHMARK_DATA"], f"{name}.npz")) as file:
        arrays = dict(file)
    weights = [arrays[f"weights.{i}"] for i in range(len(arrays) - 3)]
    epochs = [list(order) for order in arrays["orders"]]
    module, _, threads = peer.partition(":")
    options = {"threads": int(threads)} if threads else {}
    prepare = import_module(f"benchmarks.{module}").prepare
    run = prepare(workload, weights, arrays["x"], arrays["t"], **options)
    losses = [float(loss) for loss in run(epochs[0][:10])]
    seconds = []
    for epoch in epochs:
        start = perf_counter()
        run(epoch)
        seconds.append((perf_counter() - start) / len(epoch))
    report = {"seconds": median(seconds)}
    if losses:
        report["loss"] = losses[-1] if workload.batch is None else float(np.mean(losses))
    return report


def peak(n: int = 1536, repeats: int = 10) -> dict[str, float]:
    """Return the best seconds of a product of two large float32 matrices, and its speed."""
    a, b = np.ones((n, n), np.float32), np.ones((n, n), np.float32)
    a.dot(b)
    seconds = []
    for _ in range(repeats):
        start = perf_counter()
        a.dot(b)
        seconds.append(perf_counter() - start)
    return {"seconds": min(seconds), "flops": 2 * n**3 / min(seconds)}


if __name__ == "__main__":
    arguments = sys.argv[1:]
    print(json.dumps(peak() if arguments == ["peak"] else train(*arguments)))
