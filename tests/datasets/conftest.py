from dataclasses import replace

import numpy as np
import pytest

from chainrule.datasets import download
from chainrule.datasets.idx import sha256


@pytest.fixture
def files():
    """A small MNIST: the arrays of the four files by name."""
    rng = np.random.default_rng(1)
    return {
        download.TRAIN_IMAGES: rng.integers(0, 256, (30, 28, 28), np.uint8),
        download.TRAIN_LABELS: rng.integers(0, 10, 30, np.uint8),
        download.TEST_IMAGES: rng.integers(0, 256, (20, 28, 28), np.uint8),
        download.TEST_LABELS: rng.integers(0, 10, 20, np.uint8),
    }


@pytest.fixture
def empty_machine(monkeypatch, tmp_path, files):
    """A machine that has no data and no network, on which MNIST is the small one."""
    sums = {name: sha256(array) for name, array in files.items()}
    for name in ("MNIST", "FASHION_MNIST"):
        source = getattr(download, name)
        small = replace(source, mirrors=(), sha256=sums, system_folders=())
        monkeypatch.setattr(download, name, small)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.delenv("CHAINRULE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "*")
    return tmp_path
