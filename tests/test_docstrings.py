"""The examples in the docstrings run, in every module of the three packages."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import chainrule.datasets
import chainrule.layers
import chainrule.networks

PACKAGES = chainrule.layers, chainrule.networks, chainrule.datasets
MODULES = sorted(
    {package.__name__ for package in PACKAGES}
    | {
        info.name
        for package in PACKAGES
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    }
)


def examples(name):
    return doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))


@pytest.mark.parametrize(
    "name", [name for name in MODULES if any(t.examples for t in examples(name))]
)
def test_the_examples_run(name):
    result = doctest.testmod(importlib.import_module(name), extraglobs={"np": np})
    assert result.failed == 0
    assert result.attempted
