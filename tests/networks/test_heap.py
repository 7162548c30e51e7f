"""What a training frees, the process keeps, where the system's allocator is glibc's."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
from chainrule.networks._heap import keep_freed_memory
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
