"""Time a training step of chainrule beside the same step of every peer that is installed.

All peers start from the same weights and take the same batches. Each measurement is a process of
its own; each round takes all of them, in a random order. After the first round the losses of all
peers must agree. Printed are microseconds a step: the median of the rounds, the least and the
greatest; chainrule's time over the peer's (below 1: chainrule is quicker), the median of the
rounds' ratios; and what share of the processor's peak in matrix products the step reaches.
The same goes to benchmark.json and, with matplotlib, to benchmark.png.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import arguments
from benchmarks import machine, report
from benchmarks.workloads import WORKLOADS

# A file in benchmarks/: the peer's name, the package it needs, the workloads it can do.
PEERS = {
    "own": ("chainrule", "chainrule", "A B C C2 D"),
    "pytorch": ("PyTorch", "torch", "A B C C2 D"),
    "pytorch_fused": ("PyTorch, fused optimizer", "torch", "A B C C2"),
    "jax_jit": ("JAX, jit", "jax", "A B C C2 D"),
    "scikit_learn": ("scikit-learn", "sklearn", "A B"),
    "textbook": ("textbook's im2col", "numpy", "C C2"),
    "inlined": ("NumPy, inlined", "numpy", "D"),
    "products": ("the matrix products alone", "numpy", "A B"),
}
# A peer's name: the module that its users import, and the package that they install.
IMPORTS = {
    "chainrule": ("chainrule.networks", "chainrule"),
    "NumPy": ("numpy", "numpy"),
    "PyTorch": ("torch", "torch"),
    "JAX": ("jax", "jax"),
    "scikit-learn": ("sklearn.neural_network", "scikit-learn"),
}
TITLES = {name: workload.title for name, workload in WORKLOADS.items()} | {"import": "import"}
TIMED_IMPORT = """
from time import perf_counter
start = perf_counter()
import {}
print('{{"seconds":', perf_counter() - start, '}}')
"""
PEAK = ("peak", "NumPy")

Task = tuple[str, str]  # workload and peer


def tasks(names: list[str], modules: list[str]) -> dict[Task, list[str]]:
    """Return the arguments of Python for each measurement, and say what is left out."""
    found: dict[Task, list[str]] = {}
    for module in modules:
        peer, package, able = PEERS[module]
        if find_spec(package):
            both = [name for name in names if name in able.split()]
            found |= {(name, peer): ["-m", "benchmarks.worker", name, module] for name in both}
        else:
            print(f"{peer} is left out: {package} is not installed")
    if any(name in WORKLOADS and WORKLOADS[name].batch for name in names):
        found[PEAK] = ["-m", "benchmarks.worker", "peak"]
    if "import" in names:
        for peer, (module, _) in IMPORTS.items():
            if find_spec(module.partition(".")[0]):
                found["import", peer] = ["-c", TIMED_IMPORT.format(module)]
    return {task: found[task] for name in [*names, "peak"] for task in found if task[0] == name}


def write_data(name: str, rng: np.random.Generator, steps: int | None, folder: str) -> None:
    """Write the data, weights and batches of a workload to ``folder/name.npz``."""
    workload = WORKLOADS[name]
    x, t = workload.data()
    weights = workload.weights(rng, x.dtype)
    orders = workload.orders(rng, len(x))[:, :steps]
    named = {f"weights.{i}": array for i, array in enumerate(weights)}
    named |= {"x": x, "t": t, "orders": orders}
    np.savez(Path(folder, name), allow_pickle=False, **named)


def measure(command: list[str], folder: str) -> dict[str, float]:
    """Run Python with `command` and return what it prints."""
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = dict.fromkeys(threads, str(machine.cores())) | {"BENCHMARK_DATA": folder}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=Path(__file__).parent,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def check_losses(losses: dict[Task, float]) -> None:
    """Stop unless the losses of each workload agree: float32 to 1e-4, float64 to 1e-9."""
    for (name, peer), loss in losses.items():
        expected = next(loss for (other, _), loss in losses.items() if other == name)
        tolerance = 1e-4 if WORKLOADS[name].batch else 1e-9
        if not abs(loss - expected) <= tolerance * abs(expected):
            sys.exit(f"workload {name}: the loss of {peer} is {loss}, expected {expected}")


def main(argv: list[str] | None = None) -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="workloads:\n" + "\n".join(f"  {name:7} {title}" for name, title in TITLES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", type=some_of(TITLES), default=[*TITLES], metavar="A,D")
    parser.add_argument("--peers", type=some_of(PEERS), default=[*PEERS], metavar="own,pytorch")
    parser.add_argument("--rounds", type=arguments.positive_int, default=7, help="(7)")
    parser.add_argument("--steps", type=arguments.positive_int, help="at most so many an epoch")
    parser.add_argument("--seed", type=arguments.seed, default=0, help="for all that is drawn (0)")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR", help="(out)")
    args = parser.parse_args(argv)

    rng = np.random.default_rng(args.seed)
    commands = tasks(args.only, args.peers)
    results: dict[Task, list[dict[str, float]]] = {task: [] for task in commands}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only:
            if name in WORKLOADS:
                write_data(name, rng, args.steps, folder)
        for i in range(args.rounds):
            for k in rng.permutation(len(commands)):
                task = list(commands)[k]
                results[task].append(measure(commands[task], folder))
            if i == 0:
                check_losses({task: r[0]["loss"] for task, r in results.items() if "loss" in r[0]})
            print(f"round {i + 1} of {args.rounds}", file=sys.stderr, flush=True)

    peak = median(result["flops"] for result in results.pop(PEAK)) if PEAK in results else None
    record: dict[str, Any] = machine.describe() | {
        "rounds": args.rounds,
        "seed": args.seed,
        "peak_flops": peak,
        "rows": report.rows(
            {task: [r["seconds"] for r in found] for task, found in results.items()},
            {name: workload.operations() for name, workload in WORKLOADS.items()},
            peak,
        ),
    }
    if "import" in args.only:
        record["installed_bytes"] = {
            peer: machine.installed_bytes(IMPORTS[peer][1])
            for name, peer in results
            if name == "import"
        }
    print(report.text(record))
    args.out.mkdir(parents=True, exist_ok=True)
    Path(args.out, "benchmark.json").write_text(json.dumps(record, indent=1) + "\n")
    if find_spec("matplotlib"):
        report.draw(record["rows"], TITLES, Path(args.out, "benchmark.png"))
    else:
        print("no picture: matplotlib is not installed (pip install 'chainrule[plot]')")


def some_of(names: Collection[str]) -> Callable[[str], list[str]]:
    """Return a type for arguments that lists some of `names`, with commas between."""

    def some(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := [name for name in chosen if name not in names]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(names)}")
        return [name for name in names if name in chosen]

    return some


if __name__ == "__main__":
    main()
