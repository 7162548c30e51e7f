import doctest
import importlib

import numpy as np
import pytest


@pytest.mark.parametrize("name", ["toy", "batches"])
def test_examples(name):
    module = importlib.import_module(f"chainrule.datasets.{name}")
    result = doctest.testmod(module, extraglobs={"np": np}, raise_on_error=True)
    assert result.attempted > 0
