"""Arrays in one ``.npz`` file: no pickle, and never half a file."""

from __future__ import annotations

import glob
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib import format as npy
from numpy.typing import ArrayLike

from ..layers.base import Array

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo


def check_writable(path: str | PathLike[str]) -> None:
    """Raise OSError, and say why, if no file can be written to `path`."""
    path = os.path.realpath(os.fsdecode(path))
    folder = os.path.dirname(path)
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path} is a folder, expected the name of a file")
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{path} cannot be written: its folder does not allow it")


def write_npz(path: str | PathLike[str], arrays: Mapping[str, ArrayLike]) -> None:
    """Write `arrays` to `path` by way of a ``.part`` file beside it, synced and then renamed.

    A kill leaves the old file or the new one, and perhaps the ``.part``, named by eight random
    hex digits, which the next write to `path` removes. If `path` is a symbolic link, its target is
    written.

    Raises
    ------
    ValueError
        If an array holds Python objects; then nothing is written.
    FileExistsError
        If another process has begun to write to `path` meanwhile.
    OSError
        If the file cannot be written; then the old one stays.
    """
    from zipfile import ZipFile

    ready = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in ready.items():
        if array.dtype.hasobject:
            raise ValueError(f"{name!r} holds Python objects, which cannot be saved without pickle")
    check_writable(path)
    path = os.path.realpath(os.fsdecode(path))
    for left in glob.glob(f"{glob.escape(path)}.{'[0-9a-f]' * 8}.part"):
        with suppress(OSError):
            os.unlink(left)
    part = f"{path}.{os.urandom(4).hex()}.part"
    try:
        with open(part, "xb") as file:
            with ZipFile(file, "w") as archive:
                for name, array in ready.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                        npy.write_array(entry, array, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        if not os.path.exists(part):
            raise FileExistsError(f"{part} was removed: another process writes to {path}")
        os.replace(part, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(part)
        raise


def read_npz(path: str | PathLike[str]) -> dict[str, Array]:
    """Read all arrays of an uncompressed ``.npz`` file.

    Memory follows the bytes that are really there, not what the file claims.

    Raises
    ------
    ValueError
        If the file is not an ``.npz``, is damaged or compressed, or holds a pickled object.
    """
    from zipfile import ZIP_STORED, ZipFile, is_zipfile

    name = os.fsdecode(path)
    with open(name, "rb") as file:
        if not is_zipfile(file):
            raise ValueError(f"{name} is not a whole .npz: it is another file, or cut short")
        try:
            with ZipFile(file) as archive:
                entries = archive.infolist()
                if any(entry.compress_type != ZIP_STORED for entry in entries):
                    raise ValueError("it is compressed: use numpy.savez, not savez_compressed")
                claim, size = sum(entry.file_size for entry in entries), os.path.getsize(name)
                if claim > size:
                    raise ValueError(f"it has {size} bytes, which unpack to {claim}")
                return {e.filename.removesuffix(".npy"): _read(archive, e) for e in entries}
        except Exception as error:  # NumPy and zipfile raise a dozen kinds on damaged files
            raise ValueError(f"{name} is not a whole .npz of plain arrays: {error}") from error


def _read(archive: ZipFile, entry: ZipInfo) -> Array:
    with archive.open(entry) as file:
        old = npy.read_magic(file) == (1, 0)
        shape, _, dtype = (npy.read_array_header_1_0 if old else npy.read_array_header_2_0)(file)
        claim = math.prod(shape) * dtype.itemsize
        if not dtype.hasobject and file.tell() + claim != entry.file_size:
            raise ValueError(f"{entry.filename} claims {claim} bytes, which it has not")
        file.seek(0)
        array: Array = npy.read_array(file, allow_pickle=False)
        return array
