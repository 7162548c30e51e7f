"""Arrays in one ``.npz`` file: no pickle, and never half a file."""

from __future__ import annotations

import math
import os
import re
import stat
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

_PART = ".{}.part"  # what a name of eight random hex digits adds to that of the file
_CHUNK = 1 << 20  # bytes read at a time
# The header of an array as NumPy writes it; structured and object arrays have another descr.
_HEADER = re.compile(
    r"\{'descr': '([<>|=]?[?biufcSU]\d{0,9})', 'fortran_order': (True|False), "
    r"'shape': \(((?:\d{1,19}, ?)*\d{0,19})\), \} *\n?"
)


def check_writable(path: str | PathLike[str]) -> None:
    """Raise OSError, and say why, if no file can be written to `path`.

    To see it, the ``.part`` file that `write_npz` would fill is created and removed.
    """
    target = _target(path)
    part = _part_of(target)
    try:
        open(part, "xb").close()
    except OSError as error:
        raise type(error)(f"{target} cannot be written: {error.strerror}") from error
    with suppress(FileNotFoundError):
        os.unlink(part)


def write_npz(path: str | PathLike[str], arrays: Mapping[str, ArrayLike]) -> None:
    """Write `arrays` to `path` by way of a ``.part`` file beside it, synced and then renamed.

    A kill leaves the old file or the new one, and perhaps the ``.part``, named by eight random
    hex digits, which the next write to `path` removes. An existing file keeps its permissions. If
    `path` is a symbolic link, its target is written.

    Raises
    ------
    ValueError
        If an array holds Python objects; then nothing is written.
    FileExistsError
        If another process has begun to write to `path` meanwhile.
    OSError
        If the file cannot be written; then the old one stays.
    """
    import glob
    from zipfile import ZipFile

    ready = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in ready.items():
        if array.dtype.hasobject:
            raise ValueError(f"{name!r} holds Python objects, which cannot be saved without pickle")
    path = _target(path)
    for left in glob.glob(glob.escape(path) + _PART.format("[0-9a-f]" * 8)):
        with suppress(OSError):
            os.unlink(left)
    part = _part_of(path)
    try:
        with open(part, "xb") as file:
            with suppress(FileNotFoundError):
                os.chmod(part, stat.S_IMODE(os.stat(path).st_mode))
            with ZipFile(file, "w") as archive:
                for name, array in ready.items():
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                        npy.write_array(entry, array, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(part)
        if isinstance(error, FileNotFoundError) and os.path.isdir(os.path.dirname(path)):
            message = f"{part} was removed: another process writes to {path}"
            raise FileExistsError(message) from error
        if isinstance(error, OSError) and error.filename is None:
            error.filename = path  # a full disk does not say where it is
        raise


def _target(path: str | PathLike[str]) -> str:
    """Return the file that `path` leads to, unless there can be none."""
    name = os.fsdecode(path)
    if not name:
        raise FileNotFoundError("the path is '', expected the name of a file")
    target = os.path.realpath(name)
    folder = os.path.dirname(target)
    if os.path.isdir(target):
        raise IsADirectoryError(f"{target} is a folder, expected the name of a file")
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{target} cannot be written: there is no folder {folder}")
    if os.path.exists(target):
        if not os.path.isfile(target):
            raise OSError(f"{target} is a pipe or a device, expected the name of a plain file")
        if not os.access(target, os.W_OK):
            raise PermissionError(f"{target} cannot be written: it is read-only")
    return target


def _part_of(path: str) -> str:
    return path + _PART.format(os.urandom(4).hex())


def read_npz(path: str | PathLike[str]) -> dict[str, Array]:
    """Read all arrays of an uncompressed ``.npz`` file.

    Memory follows the bytes that are really there, not what the file claims.

    Raises
    ------
    ValueError
        If the file is not an ``.npz``, is damaged or compressed, or holds anything but arrays of
        booleans, numbers and text. The message names the file and the entry.
    """
    from zipfile import ZIP_STORED, ZipFile, is_zipfile

    name = os.fsdecode(path)
    shown = short(name, 160)
    with open(name, "rb") as file:
        if not is_zipfile(file):
            raise ValueError(f"{shown} is not a whole .npz: it is another file, or cut short")
        entry, arrays = "", {}
        try:
            with ZipFile(file) as archive:
                entries = archive.infolist()
                if any(each.compress_type != ZIP_STORED for each in entries):
                    raise ValueError("it is compressed: use numpy.savez, not savez_compressed")
                claim, size = sum(each.file_size for each in entries), os.path.getsize(name)
                if claim > size:
                    raise ValueError(f"it has {size} bytes, which unpack to {claim}")
                for each in entries:
                    entry = each.filename.removesuffix(".npy")
                    if entry in arrays:
                        raise ValueError("there are two of this name")
                    arrays[entry] = _read(archive, each)
        except Exception as error:  # zipfile raises a dozen kinds on damaged files
            place = f"{entry!r}: " if entry else ""
            what = str(error) or type(error).__name__
            raise ValueError(
                f"{shown} is not a whole .npz of plain arrays: {short(place, 80)}{short(what, 200)}"
            ) from error
        return arrays


def _read(archive: ZipFile, entry: ZipInfo) -> Array:
    with archive.open(entry) as file:
        old = npy.read_magic(file) == (1, 0)
        length = int.from_bytes(file.read(2 if old else 4), "little")
        header = file.read(min(length, _CHUNK)).decode("latin1")
        if not (found := _HEADER.fullmatch(header)):
            raise ValueError(f"its header is {short(header.strip(), 100)!r}, not of a plain array")
        descr, in_columns, lengths = found.groups()
        dtype, shape = np.dtype(descr), tuple(map(int, re.findall(r"\d+", lengths)))
        claim, there = math.prod(shape) * dtype.itemsize, entry.file_size - file.tell()
        rows = math.prod(n or 1 for n in shape)  # empty ones too, which tolist() would make
        if claim != there or not dtype.itemsize or rows > max(there, 1 << 20):
            raise ValueError(f"it claims {short(str(shape), 60)} of {descr} and has {there} bytes")
        array = np.empty(shape, dtype, order="F" if in_columns == "True" else "C")
        flat = array.T if in_columns == "True" else array
        bytes_ = memoryview(flat.reshape(-1).view(np.uint8).data)
        for start in range(0, claim, _CHUNK):
            chunk = file.read(min(_CHUNK, claim - start))
            bytes_[start : start + len(chunk)] = chunk
        if file.read(1) or file.tell() != entry.file_size:
            raise ValueError("it is cut short")
        return array


def short(text: str, most: int) -> str:
    """Return the text, or its beginning and end, in at most `most` characters."""
    half = (most - 5) // 2
    return text if len(text) <= most else f"{text[:half]} ... {text[-half:]}"
