"""Importing the packages loads what every program needs, and no more."""

import subprocess
import sys

import pytest

LATER = (
    "scipy",
    "numpy.random",
    "zipfile",
    "urllib.request",
    "matplotlib",
    "tqdm",
    "pooch",
    "chainrule.datasets",
)


@pytest.mark.parametrize("package", ["chainrule.layers", "chainrule.networks"])
def test_what_is_used_by_few_is_imported_where_it_is_used(package):
    program = f"import sys, {package}; print(*set({LATER}) & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"
