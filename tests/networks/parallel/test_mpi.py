"""Trainings on 2 and 3 ranks beside the same trainings in one process."""

import os
import subprocess
import sys
from pathlib import Path

import mpi_program
import numpy as np
import pytest
from small_training import trainer

from chainrule.layers import BatchNorm
from chainrule.networks import Trainer

SAID = (
    "its losses are means over different rows",
    "the ranks have [8, 7] rows, expected the whole data on each",
    "'2.b' is not the same on rank 1 as on rank 0",
)
MPIEXEC = Path(sys.executable).with_name("mpiexec")


def run(size, *arguments, program=mpi_program.__file__, code=0):
    """Run a program on so many ranks; return what the ranks print on stderr."""
    command = [MPIEXEC, "-n", size, sys.executable, "-m", "mpi4py", program, *arguments]
    done = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert (done.returncode == 0) == (code == 0), done.stderr
    return done.stderr


def read(folder, test, size):
    return [dict(np.load(folder / f"{test}.{rank}.npz")) for rank in range(size)]


@pytest.mark.parametrize(
    ("size", "tests"), [(2, ["training", "batches"]), (3, ["training", "a_sum"])]
)
def test_ranks_train_as_one_process_does(tmp_path, size, tests):
    assert run(size, tmp_path, *tests) == ""  # rank 0 alone prints
    (tmp_path / "alone").mkdir()
    for test in tests:
        mpi_program.run(test, None, 0, tmp_path / "alone")
        (alone,) = read(tmp_path / "alone", test, 1)
        first, *others = read(tmp_path, test, size)
        assert alone.keys() == first.keys()
        for name, array in first.items():
            assert all(other[name].tobytes() == array.tobytes() for other in others), name
            np.testing.assert_allclose(array, alone[name], rtol=0, atol=1e-12, err_msg=name)


def test_two_ranks(tmp_path):
    run(2, tmp_path, "resuming", "streams", "errors", "one_fails", "interrupted", "late")
    for found in read(tmp_path, "resuming", 2):
        assert found["same"]
        (said,) = found["said"]
        assert "the checkpoint is of 2 ranks, these are 1: random layers" in said
    one, other = read(tmp_path, "streams", 2)
    assert 0.4 < np.mean(one["mask"] == other["mask"]) < 0.6  # each draws its own
    x, expected = mpi_program.data(11)[0], 0
    for rows in (x[:5], x[5:]):
        alone = BatchNorm.identity(4, dtype=np.float64)
        alone.forward(rows)
        expected += len(rows) / 11 * alone.running_mean
    np.testing.assert_allclose(one["mean"], expected, rtol=1e-14)
    assert one["mean"].tobytes() == other["mean"].tobytes()
    first, second = (found["said"].tolist() for found in read(tmp_path, "errors", 2))
    for said, expected in (
        (first, ["rank 1 of 2 has", "rank 1 of 2 has", "no folder", *SAID]),
        (second, ["on rank 1 of 2", "x[0, 0] is nan", "rank 0 of 2", *SAID]),
    ):
        assert all(part in text for part, text in zip(expected, said, strict=True))
    first, second = (found["said"].tolist() for found in read(tmp_path, "one_fails", 2))
    assert first == ["RankError: rank 1 of 2 has raised an error "] * 8
    assert all("rank 1 alone ['on rank 1 of 2']" in text for text in second[:3])
    assert all("Error: " in text and "'on rank 1 of 2']" in text for text in second[3:])
    assert [found["steps"].tolist() for found in read(tmp_path, "interrupted", 2)] == [[4, 20]] * 2
    assert [found["steps"] for found in read(tmp_path, "late", 2)] == [8, 8]


def test_an_error_that_nobody_handles_ends_all_ranks_with_its_traceback(tmp_path):
    assert "ArithmeticError: this rank has had enough" in run(2, tmp_path, "uncaught", code=1)


def test_after_a_kill_the_checkpoint_is_good(tmp_path):
    run(2, tmp_path, "killed", code=1)
    with pytest.warns(UserWarning, match="is of 2 ranks, these are 1"):
        resumed = Trainer.resume(tmp_path / "killed.npz", *mpi_program.parts(5))
    assert resumed.steps == 6
    resumed.fit(*mpi_program.data(43), epochs=5, batch_size=10, progress=False)
    assert resumed.steps == 25


def test_a_script_on_two_ranks(tmp_path):
    program = Path(__file__).parents[3] / "scripts" / "train_mnist.py"
    options = "--epochs", 1, "--hidden", 10, "--batch-size", 500, "--patience", 1, "--out", tmp_path
    said = run(2, "--mpi", *options, program=program)
    assert said.count("epoch 1 of 1: loss") == 1
    said = run(2, "--mpi", "--resume", "--out", tmp_path / "none", program=program, code=1)
    assert "--resume: [Errno 2]" in said
    assert "Traceback" not in said


def test_comm_must_be_one():
    with pytest.raises(TypeError, match=r"comm is 4, expected a communicator such as MPI\.COMM"):
        trainer(comm=4)
