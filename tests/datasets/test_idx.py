import errno
import gzip
import os
import stat
import struct
import tracemalloc

import numpy as np
import pytest

from chainrule.datasets import read_idx, write_idx
from chainrule.datasets.idx import sha256

DTYPES = ["uint8", "int8", "int16", "int32", "float32", "float64"]


def header(*shape, code=0x08, zeros=0):
    return struct.pack(f">HBB{len(shape)}I", zeros, code, len(shape), *shape)


def error_of(path):
    """The message of the ValueError that reading gives; it names the file."""
    with pytest.raises(ValueError, match=r".") as caught:
        read_idx(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("name", ["a.idx", "a.gz"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_round_trip(tmp_path, dtype, name):
    rng = np.random.default_rng(0)
    array = (rng.standard_normal((5, 2, 3)) * 50).astype(dtype)
    write_idx(tmp_path / name, array)
    again = read_idx(tmp_path / name)
    assert again.dtype == dtype
    assert again.dtype.isnative
    assert again.flags.writeable
    np.testing.assert_array_equal(again, array)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0, 2), (1, 2) * 16])
def test_unusual_shapes(tmp_path, shape):
    array = np.arange(np.prod(shape, dtype=int), dtype=np.int32).reshape(shape)
    write_idx(tmp_path / "a.gz", array)
    np.testing.assert_array_equal(read_idx(tmp_path / "a.gz"), array)


def test_the_bytes_of_the_format(tmp_path):
    path = tmp_path / "a"
    write_idx(path, np.array([[1, -2, 3]], np.int16))
    written = bytes.fromhex("00000b02 00000001 00000003 0001 fffe 0003")
    assert path.read_bytes() == written
    assert (
        sha256(np.array([[1, -2, 3]], ">i2")) == __import__("hashlib").sha256(written).hexdigest()
    )


def test_any_memory_layout_is_written(tmp_path):
    array = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    for i, view in enumerate(
        [array.T, array[:, ::-2], array.astype(">i4"), np.asfortranarray(array)]
    ):
        write_idx(tmp_path / str(i), view)
        np.testing.assert_array_equal(read_idx(tmp_path / str(i)), view)


def test_gzip_is_told_by_content_not_by_name(tmp_path):
    write_idx(tmp_path / "a.gz", np.arange(3, dtype=np.uint8))
    (tmp_path / "a.gz").rename(tmp_path / "plain")
    np.testing.assert_array_equal(read_idx(tmp_path / "plain"), [0, 1, 2])
    write_idx(tmp_path / "b", np.arange(3, dtype=np.uint8))
    (tmp_path / "b").rename(tmp_path / "b.gz")
    np.testing.assert_array_equal(read_idx(tmp_path / "b.gz"), [0, 1, 2])


def test_gzip_written_twice_is_the_same_bytes(tmp_path):
    for name in ("a.gz", "another.gz"):
        write_idx(tmp_path / name, np.arange(100, dtype=np.uint8))
    written = (tmp_path / "a.gz").read_bytes()
    assert written == (tmp_path / "another.gz").read_bytes()
    assert written[4:8] == bytes(4)  # where gzip would note the time


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_every_cut_and_every_extension_is_an_error(tmp_path, compress):
    path = tmp_path / "a"
    whole = header(2, 3) + bytes(range(6))
    for size in range(len(whole)):
        path.write_bytes(compress(whole[:size]))
        assert error_of(path).startswith("truncated: ")
    path.write_bytes(compress(whole + b"x"))
    assert error_of(path) == "padded: its header claims (2, 3) of uint8, 6 bytes, but more follow"
    path.write_bytes(compress(whole))
    assert read_idx(path).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_every_cut_of_the_gzip_itself_is_an_error(tmp_path):
    path = tmp_path / "a"
    whole = gzip.compress(header(100) + bytes(range(100)))
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert error_of(path).startswith(("truncated: ", "corrupt gzip: "))


def test_every_changed_byte_of_the_gzip_body_is_an_error(tmp_path):
    path = tmp_path / "a"
    whole = gzip.compress(header(100) + bytes(range(100)))
    for position in range(10, len(whole)):  # the ten bytes before hold flags and times
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        error_of(path)


@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE html>",
        header(3, zeros=1) + bytes(3),
        header(3, code=0x0A) + bytes(3),
        b"\x89PNG",
    ],
)
def test_wrong_magic(tmp_path, content):
    path = tmp_path / "a"
    path.write_bytes(content)
    assert error_of(path) == f"not an IDX file: its magic number is 0x{content[:4].hex()}"


def test_absurd_number_of_dimensions(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(header(*[1] * 255) + b"x")
    assert error_of(path) == "255 dimensions, at most 64 can be read"
    path.write_bytes(header(0, 2**32 - 1, 2**32 - 1, 2**32 - 1))
    assert error_of(path).startswith("absurd size: ")


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("shape", [(2**32 - 1,) * 3, (2**31, 2**31, 4), (2**30,)])
def test_memory_does_not_follow_the_claim(tmp_path, compress, shape):
    path = tmp_path / "a"
    path.write_bytes(compress(header(*shape, code=0x0E) + bytes(100)))
    tracemalloc.start()
    message = error_of(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    if compress is bytes:
        assert message.startswith("truncated: ")
        assert message.endswith("more than the file can hold")
    else:
        assert message.startswith("too large: ")
        assert message.endswith("a gzip file of this size; gunzip it first")
    assert peak < 4 << 20


def test_what_unpacks_to_hundreds_of_times_its_size_is_left_to_gunzip(tmp_path, monkeypatch):
    path = tmp_path / "a"
    monkeypatch.setattr("chainrule.datasets.idx._FREE", 1 << 20)
    for size in (1 << 20, 1 << 21):
        array = np.zeros(size - 8, np.uint8)
        path.write_bytes(gzip.compress(header(size - 8) + bytes(size - 8)))
        if size == 1 << 20:
            np.testing.assert_array_equal(read_idx(path), array)
    assert error_of(path) == (
        "too large: its header claims (2097144,) of uint8, 2097144 bytes, beyond 1048576, the "
        "limit for a gzip file of this size; gunzip it first"
    )
    path.write_bytes(gzip.decompress(path.read_bytes()))
    np.testing.assert_array_equal(read_idx(path), array)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_claim_that_the_file_could_hold_is_counted(tmp_path, compress):
    path = tmp_path / "a"
    path.write_bytes(compress(header(103) + bytes(100)))
    assert error_of(path).endswith("but only 100 follow")


def test_a_long_header_makes_no_long_message(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(header(*[2**32 - 1] * 64) + b"x")
    assert len(error_of(path)) < 400


def test_data_beyond_memory(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_idx(path, np.arange(3, dtype=np.uint8))
    monkeypatch.setattr(np, "ndarray", lambda *args, **options: bytearray(1 << 60))
    with pytest.raises(ValueError, match="do not fit into memory"):
        read_idx(path)


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(header(10) + bytes(64 << 20)))
    tracemalloc.start()
    message = error_of(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert message.startswith("padded: ")
    assert peak < 4 << 20


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no-such-file"):
        read_idx(tmp_path / "no-such-file")


@pytest.mark.parametrize("name", ["a", "a.gz"])
def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch, name):
    path = tmp_path / name
    write_idx(path, np.arange(3, dtype=np.uint8))

    def fail(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        write_idx(path, np.arange(5, dtype=np.uint8))
    monkeypatch.undo()
    with pytest.raises(TypeError, match="IDX cannot hold dtype bool, only uint8, int8, int16"):
        write_idx(path, np.zeros(3, bool))
    assert os.listdir(tmp_path) == [name]
    assert read_idx(path).tolist() == [0, 1, 2]


def test_of_two_writers_at_once_the_last_wins(tmp_path, monkeypatch):
    path, replace = tmp_path / "a", os.replace

    def late(part, target):
        monkeypatch.setattr(os, "replace", replace)
        write_idx(path, np.arange(3, dtype=np.uint8))
        replace(part, target)

    monkeypatch.setattr(os, "replace", late)
    write_idx(path, np.arange(5, dtype=np.uint8))
    assert read_idx(path).tolist() == [0, 1, 2, 3, 4]
    assert os.listdir(tmp_path) == ["a"]


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "link").symlink_to("target")
    for size in (3, 5):
        write_idx(os.fsencode(tmp_path / "link"), np.arange(size, dtype=np.uint8))
        assert (tmp_path / "link").is_symlink()
        assert len(read_idx(tmp_path / "target")) == size


def test_a_folder_is_no_target(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        write_idx(tmp_path / "a", np.arange(3, dtype=np.uint8))
    assert os.listdir(tmp_path) == ["a"]


def test_an_existing_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "a"
    path.touch()
    path.chmod(0o600)
    write_idx(path, np.arange(3, dtype=np.uint8))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_pipe_stays_one(tmp_path):
    os.mkfifo(tmp_path / "a")
    with pytest.raises(OSError, match="a is a pipe or a device"):
        write_idx(tmp_path / "a", np.arange(3, dtype=np.uint8))
    assert stat.S_ISFIFO((tmp_path / "a").stat().st_mode)


def test_a_full_disk_says_where_it_is(tmp_path, monkeypatch):
    def full(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/a'"):
        write_idx(tmp_path / "a", np.arange(3, dtype=np.uint8))
    assert os.listdir(tmp_path) == []


def test_a_written_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    write_idx(tmp_path / "a", np.arange(3, dtype=np.uint8))
    usual, written = ((tmp_path / name).stat() for name in ("usual", "a"))
    assert stat.S_IMODE(written.st_mode) == stat.S_IMODE(usual.st_mode)
