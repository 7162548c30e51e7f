"""The benchmark measures, checks and writes; how quick anything is, no test asks."""

import importlib.util
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from chainrule.networks import Adam

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
    assert f"at most 2.3  {'met' if inlined['met'] else 'missed'}" in done.stdout
    assert record["threads"] >= 1
    assert "numpy" in record["versions"]
    assert (tmp_path / "benchmark.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("make", ["Intel", "AMD"])
def test_targets_are_met_by_the_median_of_the_rounds(monkeypatch, make):
    monkeypatch.syspath_prepend(SCRIPTS)
    from benchmarks import report

    seconds = {
        ("D", "chainrule"): [3.0, 8.0, 3.4],
        ("D", "NumPy, inlined"): [2.0, 2.0, 2.0],  # at most 2.3 times as long
        ("D", "PyTorch"): [6.0, 6.0, 10.0],  # at most 0.2 times
        ("C", "chainrule"): [2.0, 2.0, 2.0],
        ("C", "chainrule, threads: 2"): [1.1, 1.1, 1.1],
        ("C", "PyTorch"): [3.0, 3.0, 3.0],
        ("C", "PyTorch, fused optimizer"): [1.0, 1.0, 1.0],  # the faster: at most 1.15 times
        ("B", "the matrix products alone"): [1.0, 2.0, 2.0],  # at least 70% of peak
    }
    found = report.rows(seconds, {"B": 14}, 10.0, make)
    own, inlined, torch, _, _, slower, faster, products = found
    assert "met" not in slower
    assert (faster["ratio"], faster["met"]) == (1.1, make == "Intel")
    assert "met" not in own
    assert (inlined["ratio"], inlined["met"]) == (1.7, True)
    assert (torch["ratio"], torch["met"]) == (0.5, False)
    assert (products["share"], products["met"]) == (0.7, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--only", "A,E"],
            "'E' is not one of A, B, C, C2, D, E1, E2, E3, B32, B512, W128, W2048, import",
        ),
        (["--peers", "own,numpy"], "'numpy' is not one of own, pytorch, pytorch_fused, jax_jit, "),
        (["--only", "D", "--peers", "products"], "none of these peers is installed and does one"),
    ],
)
def test_usage_errors(run_script, options, message):
    run = run_script("benchmark.py", *options)
    assert run.code == 2
    assert message in run.err


def test_peers_that_are_not_installed_are_named_and_left_out(run_script, tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: found(name) if name == "chainrule" else None
    )
    run = run_script(
        *("benchmark.py", "--only", "D", "--rounds", 1, "--steps", 5, "--out", tmp_path)
    )
    assert run.code == 0
    for package in ("torch", "jax", "matplotlib"):
        assert f"{package} is not installed" in run.out
    assert (tmp_path / "benchmark.json").exists()


def test_a_peer_that_fails(run_script, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "numpy.py").write_text("raise ImportError('a broken package')")
    run = run_script("benchmark.py", "--only", "import", "--peers", "inlined", "--out", tmp_path)
    assert run.code == 1
    assert "ImportError: a broken package\n" in run.err
    assert run.err.endswith("\nimport: NumPy failed; --peers can leave it out\n")


def test_interrupted_it_writes_nothing(tmp_path):
    program = subprocess.Popen(
        [
            *(sys.executable, SCRIPTS / "benchmark.py", "--only", "D", "--peers", "inlined"),
            *("--steps", "5", "--rounds", "10000", "--out", tmp_path / "out"),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stderr.readline() == "round 1 of 10000\n"
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate()
    assert program.returncode == 130
    assert errors.splitlines()[-1] == "interrupted: nothing is written"
    assert "Traceback" not in errors
    assert not list((tmp_path / "out").iterdir())


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


def test_the_textbook_has_the_same_adam(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    from benchmarks import textbook

    gradient = 10.0 ** -np.arange(4, 12)  # of the small ones eps decides the step
    mine, theirs = np.ones((2, gradient.size))
    adam, peer = Adam(lr=0.01), textbook.Adam(0.01)
    for _ in range(5):
        adam.step([mine], [gradient])
        peer.update([theirs], [gradient])
    np.testing.assert_allclose(theirs, mine, rtol=1e-9)


def test_threads_train_the_same_net(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    from benchmarks import machine, own
    from benchmarks.workloads import Workload

    layers = ("affine", 3, 4), ("relu",), ("affine", 4, 5)
    workload = Workload("small", layers, ("adam", 0.01), batch=6, epochs=1)
    rng = np.random.default_rng(0)
    weights = workload.weights(rng, np.float64)
    x, t = rng.normal(size=(6, 3)), rng.integers(5, size=6)
    losses = [
        own.prepare(workload, [w.copy() for w in weights], x, t, threads)([np.arange(6)] * 5)
        for threads in (None, 1, 2)
    ]
    np.testing.assert_allclose(losses[1:], losses[:1] * 2, rtol=1e-12)
    assert machine.thread_counts()[0] == 1
    assert machine.thread_counts()[-1] == machine.cores()


SEQUENCES = {
    "rows of numbers": ((("lstm", 3, 4), ("last",), ("affine", 4, 5)), (6, 7, 3), (6,)),
    "words": ((("embedding", 5, 4), ("lstm", 4, 4), ("affine", 4, 5)), (6, 7), (6, 7)),
    "gpt": (
        (("embedding", 5, 8), ("position", 7, 8), ("block", 8, 2), ("norm", 8), ("affine", 8, 5)),
        (6, 7),
        (6, 7),
    ),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_textbook_trains_the_same_sequence_nets(monkeypatch, name):
    monkeypatch.syspath_prepend(SCRIPTS)
    from benchmarks import own, textbook_loop
    from benchmarks.workloads import Workload

    layers, x_shape, t_shape = SEQUENCES[name]
    workload = Workload(name, layers, ("adam", 0.01), batch=6, epochs=1, steps=7)
    rng = np.random.default_rng(0)
    weights = workload.weights(rng, np.float64)
    x = rng.normal(size=x_shape) if len(x_shape) == 3 else rng.integers(5, size=x_shape)
    t = rng.integers(5, size=t_shape)
    losses = [
        peer.prepare(workload, [w.copy() for w in weights], x, t)([np.arange(6)] * 5)
        for peer in (own, textbook_loop)
    ]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)  # its logarithm adds 1e-7
