"""IDX, the file format of MNIST: a short header, then the array's bytes, big-endian.

The header is two zero bytes, one byte for the type, one for the number of dimensions, and each
dimension as an unsigned 32-bit integer (LeCun, Cortes and Burges, "The MNIST database").
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import stat
import struct
import zlib
from contextlib import suppress
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(name).newbyteorder("="): code for code, name in _DTYPES.items()}
_MAX_DIMENSIONS = 64  # what a NumPy array can have; the format allows 255
_CHUNK = 1 << 20
_MAX_RATIO = 200  # gzip reaches 1032; for MNIST it is 2 to 5
_FREE = 64 << 20  # bytes unpacked at any ratio


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Read one array from an IDX file, gzipped or not, as its first bytes show.

    Memory is bounded by the bytes that are there, not by what the header claims. A gzip file may
    unpack to 200 times its size, or to 64 MiB if that is more; use ``gunzip`` beyond that.

    Parameters
    ----------
    path : path
        Name of the file.

    Returns
    -------
    array
        A new array in native byte order: uint8, int8, int16, int32, float32 or float64.

    Raises
    ------
    ValueError
        If the file is not IDX, is truncated, continues after its data, is corrupt gzip or
        compressed beyond that limit, or does not fit into memory. The message names the file.
    """
    with open(path, "rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
        size = os.fstat(file.fileno()).st_size
        file.seek(0)
        try:
            if not gzipped:
                return _read(file, size, "truncated", "more than the file can hold")
            most = max(_FREE, _MAX_RATIO * size)
            limit = f"beyond {most}, the limit for a gzip file of this size; gunzip it first"
            with gzip.open(file) as stream:
                return _read(cast(IO[bytes], stream), most, "too large", limit)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{_shown(path)}: corrupt gzip: {error}") from error
        except MemoryError as error:
            raise ValueError(f"{_shown(path)}: its data do not fit into memory") from error
        except ValueError as error:
            raise ValueError(f"{_shown(path)}: {error}") from error


def write_idx(path: str | os.PathLike[str], array: npt.ArrayLike) -> None:
    """Write an array as an IDX file, gzipped if `path` ends in ``.gz``.

    The bytes go to a ``.part`` file beside `path`, which is synced and renamed: a kill leaves the
    old file or the new one, and perhaps a ``.part`` to delete; of two writers at once the last
    wins. An existing file keeps its permissions; if `path` is a symbolic link, its target is
    written. The same array always gives the same bytes.

    Parameters
    ----------
    path : path
        Name of the file.
    array : array_like
        Of a dtype that `read_idx` returns.

    Raises
    ------
    TypeError
        If IDX has no code for the dtype; then nothing is written.
    OSError
        If the file cannot be written; then the old one stays.
    """
    array = np.asarray(array)
    content, name = b"".join((_header(array), _data(array))), os.fsdecode(path)
    if name.endswith(".gz"):
        content = gzip.compress(content, mtime=0)
    target = os.path.realpath(name)
    if os.path.exists(target) and not (os.path.isfile(target) or os.path.isdir(target)):
        raise OSError(f"{target} is a pipe or a device, expected the name of a plain file")
    part = f"{target}.{os.urandom(4).hex()}.part"
    try:
        with open(part, "xb") as file:
            with suppress(FileNotFoundError):
                os.chmod(part, stat.S_IMODE(os.stat(target).st_mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(part)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = target  # a full disk does not say where it is
        raise


def sha256(array: npt.NDArray[Any]) -> str:
    """SHA-256, in hexadecimal, of the uncompressed IDX file that holds `array`."""
    digest = hashlib.sha256(_header(array))
    digest.update(_data(array))
    return digest.hexdigest()


def _read(stream: IO[bytes], most: int, wrong: str, limit: str) -> npt.NDArray[Any]:
    """Read the array, of at most `most` bytes; errors say what is `wrong`, and the `limit`."""
    magic = stream.read(4)
    if len(magic) < 4:
        raise ValueError(f"truncated: {len(magic)} bytes, not even an IDX magic number")
    zeros, code, ndim = struct.unpack(">HBB", magic)
    if zeros != 0 or code not in _DTYPES:
        raise ValueError(f"not an IDX file: its magic number is 0x{magic.hex()}")
    if ndim > _MAX_DIMENSIONS:
        raise ValueError(f"{ndim} dimensions, at most {_MAX_DIMENSIONS} can be read")
    header = stream.read(4 * ndim)
    if len(header) < 4 * ndim:
        raise ValueError(f"truncated: the header ends within its {ndim} dimensions")
    shape = struct.unpack(f">{ndim}I", header)
    dtype = np.dtype(_DTYPES[code])
    size = math.prod(shape) * dtype.itemsize

    claim = f"its header claims {_shown(shape)} of {dtype.name}, {_shown(size)} bytes"
    if size > most:
        raise ValueError(f"{wrong}: {claim}, {limit}")
    data = bytearray()
    while len(data) < size and (chunk := stream.read(min(_CHUNK, size - len(data)))):
        data += chunk
    if len(data) < size:
        raise ValueError(f"truncated: {claim}, but only {len(data)} follow")
    if stream.read(1):
        raise ValueError(f"padded: {claim}, but more follow")
    try:
        array = np.ndarray(shape, dtype, buffer=data)
    except ValueError as error:  # an empty array can still have dimensions beyond NumPy's
        raise ValueError(f"absurd size: {claim}: {error}") from error
    if not dtype.isnative:
        array.byteswap(inplace=True)
    return array.view(dtype.newbyteorder("="))


def _shown(value: object) -> str:
    """Return the value as text; of a long one the beginning and the end."""
    text = os.fsdecode(value) if isinstance(value, bytes) else str(value)
    return text if len(text) <= 160 else f"{text[:75]} ... {text[-75:]}"


def _header(array: npt.NDArray[Any]) -> bytes:
    code = _CODES.get(array.dtype.newbyteorder("="))
    if code is None:
        names = ", ".join(dtype.name for dtype in _CODES)
        raise TypeError(f"IDX cannot hold dtype {array.dtype}, only {names}")
    return struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)


def _data(array: npt.NDArray[Any]) -> memoryview:
    big_endian = np.ascontiguousarray(array, array.dtype.newbyteorder(">"))
    return big_endian.reshape(-1).view(np.uint8).data
