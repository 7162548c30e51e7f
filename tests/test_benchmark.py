"""The benchmark measures, checks and writes; how quick anything is, no test asks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


def test_one_tiny_round_writes_a_table_json_and_a_picture(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, SCRIPTS / "benchmark.py", "--only", "D", "--peers", "own,inlined"),
            *("--rounds", "1", "--steps", "20", "--out", tmp_path),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "D         NumPy, inlined" in done.stdout
    record = json.loads((tmp_path / "benchmark.json").read_text())
    own, inlined = record["rows"]
    assert (own["peer"], inlined["peer"]) == ("chainrule", "NumPy, inlined")
    assert inlined["ratio"] == own["median"] / inlined["median"]
    assert record["threads"] >= 1
    assert "numpy" in record["versions"]
    assert (tmp_path / "benchmark.png").read_bytes().startswith(b"\x89PNG")


def test_an_unknown_workload_is_a_usage_error():
    done = subprocess.run(
        [sys.executable, SCRIPTS / "benchmark.py", "--only", "A,E"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "'E' is not one of A, B, C, C2, D, import" in done.stderr


def test_peers_whose_losses_differ_stop_it(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    import benchmark

    losses = {("A", "chainrule"): 2.3, ("A", "PyTorch"): 2.30001, ("D", "chainrule"): 1.0}
    benchmark.check_losses(losses)
    with pytest.raises(SystemExit, match=r"workload A: the loss of JAX is nan, expected 2.3"):
        benchmark.check_losses(losses | {("A", "JAX"): float("nan")})
    with pytest.raises(SystemExit, match="workload D: the loss of NumPy"):
        benchmark.check_losses(losses | {("D", "NumPy, inlined"): 1.00001})


def test_the_operations_are_those_of_the_products(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    from benchmarks.workloads import WORKLOADS

    # forward, dW and, but for the first layer, dx, each of 2 n k m operations
    assert WORKLOADS["A"].operations() == 2 * 100 * (2 * 784 * 50 + 3 * 50 * 10)
    convolution = 2 * 100 * 24 * 24 * 25 * 30
    assert WORKLOADS["C"].operations() == 2 * convolution + 3 * 2 * 100 * 100 * (4320 + 10)
