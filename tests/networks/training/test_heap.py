"""What a training frees, the process keeps, where the system's allocator is glibc's."""

import platform
import subprocess
import sys

import numpy as np
import pytest

from chainrule.layers import Affine, MSELoss
from chainrule.networks import SGD, Trainer, minimize

PROGRAM = """
import resource
import numpy as np
from chainrule.networks.training.heap import keep_freed_memory
{call}
def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        arrays = [np.ones(1 << 20, np.uint8) for _ in range(4)]
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
pages()
print(pages())
"""


def pages_asked_for_again(call):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(call=call)],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="elsewhere it does nothing")
def test_freed_arrays_are_not_asked_for_again():
    without, kept = pages_asked_for_again(""), pages_asked_for_again("keep_freed_memory()")
    assert kept < 100 < without


def test_a_trainer_and_minimize_see_to_it(monkeypatch):
    called = []
    for module in ("trainer", "minimize"):
        module = sys.modules[f"chainrule.networks.training.{module}"]
        monkeypatch.setattr(module, "keep_freed_memory", lambda: called.append(1))
    net, x = Affine(np.eye(2), np.zeros(2)), np.ones((3, 2))
    Trainer(net, MSELoss(), SGD(), np.random.default_rng(0))
    minimize(net, MSELoss(), x, x, options={"maxiter": 1}, progress=False)
    assert len(called) == 2
