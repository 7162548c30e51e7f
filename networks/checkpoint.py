"""Arrays in one ``.npz`` file: no pickle, and never half a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from os import PathLike

import numpy as np

from ..layers.base import Array


def write_npz(path: str | PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Write `arrays` to `path` by way of a temporary file beside it, synced and then renamed."""
    path = os.fspath(path)
    folder, name = os.path.split(path)
    handle, temporary = tempfile.mkstemp(prefix=name + ".", suffix=".part", dir=folder or ".")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_npz(path: str | PathLike[str]) -> dict[str, Array]:
    """Read all arrays of an ``.npz`` file.

    Raises
    ------
    ValueError
        If the file is not an ``.npz``, is damaged, or holds a pickled object.
    """
    with open(path, "rb") as file:
        try:
            arrays = np.load(file, allow_pickle=False)
            return {name: arrays[name] for name in arrays.files}
        except Exception as error:  # NumPy and zipfile raise a dozen kinds on damaged files
            name = os.fspath(path)
            raise ValueError(f"{name} is not a whole .npz of plain arrays: {error}") from error
