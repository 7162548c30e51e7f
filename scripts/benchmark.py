"""Time a training step of chainrule and the same step of every peer that is installed.

All peers start from the same weights and take the same batches. Each measurement is a separate
process; each round takes all of them, in a random order. After the first round the losses of all
peers must agree. Printed are microseconds per step: the median, minimum and maximum of the rounds;
chainrule's time, with threads where they are faster, divided by the peer's (below 1: chainrule is
faster), the median of the rounds' ratios; the fraction of the processor's peak in matrix products
that the step reaches; and the project's targets, by make of CPU. With `import` the installed sizes
are printed too. At the end all of it is written to benchmark.json and, with matplotlib, to
benchmark.png.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import arguments
from benchmarks import machine, report
from benchmarks.workloads import WORKLOADS
from endings import INTERRUPTED, check_file, one_line

SIZES = "B32 B512 W128 W2048"
# A file in benchmarks/, perhaps with a number of threads: the peer's name, the package it needs,
# the workloads it can do.
PEERS = {
    "own": ("chainrule", "chainrule", f"A B C C2 D E1 E2 E3 {SIZES}"),
    "pytorch": ("PyTorch", "torch", "A B C C2 D E1 E2 E3"),
    "pytorch_fused": ("PyTorch, fused optimizer", "torch", f"A B C C2 E1 E2 E3 {SIZES}"),
    "jax_jit": ("JAX, jit", "jax", "A B C C2 D"),
    "scikit_learn": ("scikit-learn", "sklearn", "A B"),
    "textbook": ("textbook's im2col", "numpy", "C C2"),
    "textbook_loop": ("textbook's loop", "numpy", "E1 E2 E3"),
    "inlined": ("NumPy, inlined", "numpy", "D"),
    "products": ("the matrix products alone", "numpy", "A B"),
}
for n in machine.thread_counts():
    PEERS[f"own:{n}"] = f"chainrule, threads: {n}", "threadpoolctl", "C C2"
PEER_NAMES = {module: name for module, (name, *_) in PEERS.items()}
# A peer's name: the module that its users import, and the package that they install.
IMPORTS = {
    "chainrule": ("chainrule.networks", "chainrule"),
    "NumPy": ("numpy", "numpy"),
    "PyTorch": ("torch", "torch"),
    "JAX": ("jax", "jax"),
    "scikit-learn": ("sklearn.neural_network", "scikit-learn"),
}
TITLES = {name: workload.title for name, workload in WORKLOADS.items()}
TITLES["import"] = "in a fresh process"
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
    packages = set()
    for module in modules:
        peer, package, able = PEERS[module]
        if find_spec(package):
            packages.add(package)
            both = [name for name in names if name in able.split()]
            found |= {(name, peer): ["-m", "benchmarks.worker", name, module] for name in both}
        else:
            print(f"{peer} is left out: {package} is not installed")
    if "import" in names:
        for peer, (module, _) in IMPORTS.items():
            if module.partition(".")[0] in packages:
                found["import", peer] = ["-c", TIMED_IMPORT.format(module)]
    if any(WORKLOADS[name].batch for name, _ in found if name in WORKLOADS):
        found[PEAK] = ["-m", "benchmarks.worker", "peak"]
    return {task: found[task] for name in [*names, "peak"] for task in found if task[0] == name}


def write_data(name: str, rng: np.random.Generator, steps: int | None, folder: str) -> None:
    """Write the data, weights and batches of a workload to ``folder/name.npz``."""
    workload = WORKLOADS[name]
    x, t = workload.data()
    weights = workload.weights(rng, x.dtype if x.dtype.kind == "f" else np.float32)
    orders = workload.orders(rng, len(x))[:, :steps]
    named = {f"weights.{i}": array for i, array in enumerate(weights)}
    named |= {"x": x, "t": t, "orders": orders}
    np.savez(Path(folder, name), **named)  # type: ignore[arg-type]  # all names are of arrays


def measure(task: Task, command: list[str], folder: str) -> dict[str, float]:
    """Run Python with `command`, which measures `task`, and return what it prints."""
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = dict.fromkeys(threads, str(machine.cores())) | {"BENCHMARK_DATA": folder}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=Path(__file__).parent,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        process_group=0,  # Ctrl-C ends this program, which ends that
    )
    if done.returncode:
        sys.exit(f"{done.stderr}{task[0]}: {task[1]} failed; --peers can leave it out")
    return json.loads(done.stdout)


def check_losses(losses: dict[Task, float]) -> None:
    """Stop unless the losses of each workload agree: float32 to 1e-3, float64 to 1e-9.

    Not closer, since scikit-learn's Adam adds eps before the correction of the bias.
    """
    for (name, peer), loss in losses.items():
        expected = next(loss for (other, _), loss in losses.items() if other == name)
        tolerance = 1e-3 if WORKLOADS[name].batch else 1e-9
        if not abs(loss - expected) <= tolerance * abs(expected):
            sys.exit(f"workload {name}: the loss of {peer} is {loss}, expected {expected}")


def main(argv: list[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="\n".join([*listed("workloads", TITLES), "", *listed("peers", PEER_NAMES)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    number: dict[str, Any] = {"metavar": "N", "type": arguments.positive_int}
    add("--only", metavar="A,D", type=some_of(TITLES), default=[*TITLES], help="workloads (all)")
    add("--peers", metavar="own,jax_jit", type=some_of(PEERS), default=[*PEERS], help="(all)")
    add("--rounds", **number, default=7, help="how often each is measured (7)")
    add("--steps", **number, help="at most so many an epoch, for a quick look")
    add("--seed", metavar="N", type=arguments.seed, default=0, help="for all that is drawn (0)")
    add("--out", metavar="DIR", type=Path, default=Path("out"), help="for what is written (out)")
    args = parser.parse_args(argv)
    commands = tasks(args.only, args.peers)
    if not commands:
        parser.error("none of these peers is installed and does one of these workloads")
    # Before the measurements: what fails here must not lose them.
    with one_line("--out", OSError):
        args.out.mkdir(parents=True, exist_ok=True)
        check_file(args.out / "benchmark.json.part")
    sizes = {
        peer: machine.installed_bytes(IMPORTS[peer][1])
        for name, peer in commands
        if name == "import"
    }
    try:
        results = rounds(commands, args)
    except KeyboardInterrupt:
        print("interrupted: nothing is written", file=sys.stderr)
        return INTERRUPTED
    write(results, args, sizes)
    return 0


def rounds(
    commands: dict[Task, list[str]], args: argparse.Namespace
) -> dict[Task, list[dict[str, float]]]:
    """Return what each round of measurements finds."""
    rng = np.random.default_rng(args.seed)
    results: dict[Task, list[dict[str, float]]] = {task: [] for task in commands}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only:
            if name in WORKLOADS:
                write_data(name, rng, args.steps, folder)
        for i in range(args.rounds):
            for k in rng.permutation(len(commands)):
                task = list(commands)[k]
                results[task].append(measure(task, commands[task], folder))
            if i == 0:
                check_losses({task: r[0]["loss"] for task, r in results.items() if "loss" in r[0]})
            print(f"round {i + 1} of {args.rounds}", file=sys.stderr, flush=True)
    return results


def write(
    results: dict[Task, list[dict[str, float]]],
    args: argparse.Namespace,
    sizes: dict[str, tuple[int, int]],
) -> None:
    """Print the table, and write it and its picture."""
    peak = median(result["flops"] for result in results.pop(PEAK)) if PEAK in results else None
    record: dict[str, Any] = machine.describe() | {
        "rounds": args.rounds,
        "seed": args.seed,
        "peak_flops": peak,
        "rows": report.rows(
            {task: [r["seconds"] for r in found] for task, found in results.items()},
            {name: workload.operations() for name, workload in WORKLOADS.items()},
            peak,
            machine.make(),
        ),
    }
    if "import" in args.only:
        record["installed_bytes"] = sizes
    print(report.text(record))
    table, part = args.out / "benchmark.json", args.out / "benchmark.json.part"
    part.write_text(json.dumps(record, indent=1) + "\n")
    part.replace(table)  # a kill leaves the old file or the new one
    print(f"wrote {table}")
    if find_spec("matplotlib"):
        report.draw(record["rows"], TITLES, args.out / "benchmark.png")
        print(f"drew {args.out / 'benchmark.png'}")
    else:
        print("no picture: matplotlib is not installed (pip install 'chainrule[plot]')")


def listed(heading: str, names: Mapping[str, str]) -> list[str]:
    """Return lines of help that say what each name stands for."""
    return [f"{heading}:", *(f"  {name:13} {meaning}" for name, meaning in names.items())]


def some_of(names: Collection[str]) -> Callable[[str], list[str]]:
    """Return a type for arguments that lists some of `names`, with commas between."""

    def some(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := [name for name in chosen if name not in names]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(names)}")
        return [name for name in names if name in chosen]

    return some


if __name__ == "__main__":
    raise SystemExit(main())
