"""Arrays in one ``.npz`` file: no pickle, and never half a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from os import PathLike

import numpy as np

from ..layers.base import Array


def write_npz(path: str | PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Write `arrays` to `path` by way of ``path.part`` beside it, synced and then renamed.

    A kill leaves the old file or the new one, and perhaps one ``.part``, which the next write
    replaces.

    Raises
    ------
    FileExistsError
        If another process writes to the same path at the same time.
    """
    path = os.path.realpath(path)
    part = path + ".part"
    with suppress(FileNotFoundError):
        os.unlink(part)
    with open(part, "xb") as file:
        try:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            os.unlink(part)
            raise
        mine = os.path.exists(part) and os.path.samestat(os.fstat(file.fileno()), os.stat(part))
    if not mine:
        raise FileExistsError(f"{part} was replaced: another process writes to {path}")
    os.replace(part, path)


def read_npz(path: str | PathLike[str]) -> dict[str, Array]:
    """Read all arrays of an ``.npz`` file.

    Raises
    ------
    ValueError
        If the file is not an ``.npz``, is damaged, or holds a pickled object.
    """
    from zipfile import is_zipfile

    name = os.fspath(path)
    with open(path, "rb") as file:
        if not is_zipfile(file):  # NumPy would take it for a pickle and advise to trust it
            raise ValueError(f"{name} is not a whole .npz: it is another file, or cut short")
        file.seek(0)
        try:
            arrays = np.load(file, allow_pickle=False)
            return {key: arrays[key] for key in arrays.files}
        except Exception as error:  # NumPy and zipfile raise a dozen kinds on damaged files
            raise ValueError(f"{name} is not a whole .npz of plain arrays: {error}") from error
