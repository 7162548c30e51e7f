"""Files of arrays: whole or not there, plain, and no larger in memory than on disk."""

import builtins
import errno
import io
import os
import stat
import subprocess
import sys
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

from chainrule.networks.files import check_writable, read_npz, write_npz

ARRAYS = {"file": np.arange(6.0).reshape(2, 3), "a/b": np.array(1, np.float32), "0": np.array("x")}


def assert_holds(path, arrays):
    read = read_npz(path)
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


@pytest.mark.parametrize("form", [str, os.fsencode, lambda path: path])
def test_what_is_written_is_read(tmp_path, form):
    path = tmp_path / "a.npz"
    write_npz(form(path), ARRAYS)
    assert_holds(form(path), ARRAYS)
    with np.load(path, allow_pickle=False) as file:
        assert set(file.files) == set(ARRAYS)
    assert os.listdir(tmp_path) == ["a.npz"]


def test_what_numpy_writes_is_read(tmp_path):
    arrays = {"a": np.asfortranarray(ARRAYS["file"]), "b": np.zeros((0, 3), np.int8)}
    np.savez(tmp_path / "a.npz", **arrays)
    assert_holds(tmp_path / "a.npz", arrays)


def test_a_relative_path_and_a_symbolic_link(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.symlink("target", "link")
    for array in (np.ones(2), np.zeros(3)):
        write_npz("link", {"a": array})
        assert os.path.islink("link")
        assert_holds("target", {"a": array})
    assert sorted(os.listdir()) == ["link", "target"]


def test_a_path_that_cannot_be_written(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder, expected the name of a file"):
        write_npz(tmp_path, ARRAYS)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*none"):
        write_npz(tmp_path / "none" / "a.npz", ARRAYS)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_allows_no_writing(tmp_path, monkeypatch):
    def refuse(path, mode):  # a chmod would not stop root
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(builtins, "open", refuse)
    with pytest.raises(PermissionError, match=r"a\.npz cannot be written: Permission denied"):
        check_writable(tmp_path / "a.npz")


def test_a_file_that_is_read_only(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    path.touch()
    monkeypatch.setattr(os, "access", lambda *args: False)
    for call in (check_writable, lambda path: write_npz(path, ARRAYS)):
        with pytest.raises(PermissionError, match=r"a\.npz cannot be written: it is read-only"):
            call(path)


def test_no_name_and_one_that_only_its_part_makes_too_long(tmp_path):
    with pytest.raises(FileNotFoundError, match="the path is '', expected the name of a file"):
        check_writable("")
    with pytest.raises(OSError, match="aaa cannot be written: File name too long"):
        check_writable(tmp_path / ("a" * 250))
    check_writable(tmp_path / ("a" * 200))
    assert os.listdir(tmp_path) == []


def test_a_pipe_stays_one(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    for call in (check_writable, lambda path: write_npz(path, ARRAYS)):
        with pytest.raises(OSError, match="pipe is a pipe or a device"):
            call(path)
    assert stat.S_ISFIFO(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_an_existing_file_keeps_its_permissions(tmp_path, mode):
    path = tmp_path / "a.npz"
    path.touch()
    path.chmod(mode)
    write_npz(path, ARRAYS)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_full_disk_says_where_it_is(tmp_path, monkeypatch):
    def full(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/a\.npz'"):
        write_npz(tmp_path / "a.npz", ARRAYS)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch, name):
    path = tmp_path / "a.npz"
    write_npz(path, ARRAYS)
    with monkeypatch.context() as patch:
        patch.setattr(os, name, lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_npz(path, {"b": np.ones(3)})
    for wrong in (np.array([None]), np.zeros(1, [("a", object)])):
        with pytest.raises(ValueError, match="'b' holds Python objects"):
            write_npz(path, {"a": np.ones(1), "b": wrong})
    assert_holds(path, ARRAYS)
    assert os.listdir(tmp_path) == ["a.npz"]


def test_the_earlier_of_two_writers_is_told(tmp_path, monkeypatch):
    path, fsync, other = tmp_path / "a.npz", os.fsync, {"b": np.ones(3)}

    def slow(file):
        monkeypatch.setattr(os, "fsync", fsync)
        write_npz(path, other)
        fsync(file)

    monkeypatch.setattr(os, "fsync", slow)
    with pytest.raises(FileExistsError, match="another process writes"):
        write_npz(path, ARRAYS)
    assert_holds(path, other)
    assert os.listdir(tmp_path) == ["a.npz"]


WRITER = """
import sys
import numpy as np
from chainrule.networks.files import read_npz, write_npz
told = 0
for _ in range(200):
    try:
        write_npz(sys.argv[1], {"a": np.full(50, float(sys.argv[2]))})
    except FileExistsError:
        told += 1
print(told)
"""


def test_two_processes_on_one_file_get_the_documented_error_and_no_other(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path, {"a": np.zeros(50)})
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*command, n], stderr=subprocess.PIPE) for n in "12"]
    while any(writer.poll() is None for writer in writers):
        assert len(set(read_npz(path)["a"])) == 1  # of one writer, whole
    assert [(writer.communicate()[1], writer.returncode) for writer in writers] == [(b"", 0)] * 2
    assert os.listdir(tmp_path) == ["a.npz"]


def test_parts_that_kills_have_left_are_removed(tmp_path):
    others = ["a1.npz.1234abcd.part", "a[1].npz.mine.part", "a[1].npz.old.1234abcd.part"]
    for name in ("a[1].npz.1234abcd.part", "a[1].npz.5678abcd.part", *others):
        (tmp_path / name).write_bytes(b"half")
    write_npz(tmp_path / "a[1].npz", ARRAYS)
    assert sorted(os.listdir(tmp_path)) == sorted(["a[1].npz", *others])


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_compressed_file_is_refused(tmp_path, size):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(size))
    with pytest.raises(ValueError, match=r"compressed: use numpy\.savez, not savez_compressed"):
        read_npz(tmp_path / "a.npz")


def npy(shape, data=b"", dtype="<f8"):
    """Bytes of a .npy file whose header claims `shape`."""
    file = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + data


@pytest.mark.parametrize(
    ("entry", "more"),  # bytes that the list of entries claims beyond those that are there
    [
        (npy((1 << 23,), bytes(8)), (1 << 26) - 8),
        (npy((1 << 40,), bytes(80)), 0),
        (npy((3,), bytes(16)), 0),
        (npy((3,), bytes(32)), 0),
        (npy((1,), b"x" * 100, dtype="|O"), 0),
        (npy((9_999_999_999,), dtype="|V0"), 0),
        (npy((9_999_999_999,), dtype="<U0"), 0),
        (npy((9_999_999_999,), dtype="|S0"), 0),
        (npy((100_000_000, 0), dtype="<f4"), 0),
        (npy((1 << 40, 1 << 40, 0)), 0),
        (npy(("x" * 9000,)), 0),
        (npy((1,), bytes(8), dtype=[("a", "<f8")]), 0),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"[" * 60_000, 0),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"1, " * 60_000, 0),
        (b"no .npy", 0),
        (b"", 0),
    ],
)
def test_a_file_that_lies_about_its_size_takes_no_memory(tmp_path, entry, more):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", entry)
        archive.infolist()[0].file_size += more
    tracemalloc.start()
    match = rf"a\.npz is not a whole \.npz of plain arrays: {'it has' if more else '.a.: .'}"
    with pytest.raises(ValueError, match=match) as caught:
        read_npz(path)
    assert len(str(caught.value)) <= 500
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_two_members_of_one_name(tmp_path):
    path = tmp_path / "a.npz"
    for names in (("a.npy", "a.npy"), ("a.npy", "a")):
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
            warnings.simplefilter("ignore")  # zipfile's own, of a name that is there already
            for k, name in enumerate(names):
                archive.writestr(name, npy((1,), bytes([k] * 8)))
        with pytest.raises(ValueError, match="plain arrays: 'a': there are two of this name"):
            read_npz(path)


def test_a_message_names_what_it_can_in_500_characters(tmp_path):
    path = tmp_path.joinpath(*["f" * 200] * 4) / "a.npz"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("n" * 60_000, npy((3,), b"x"))
    with pytest.raises(ValueError, match=r"a\.npz is not a whole .*'nnn.*claims \(3,\)") as caught:
        read_npz(path)
    assert len(str(caught.value)) <= 500


def test_every_cut_is_an_error(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path, ARRAYS)
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"a\.npz is not a whole"):
            read_npz(path)


def test_random_damage_is_an_error_or_gives_arrays(tmp_path):
    path, rng = tmp_path / "a.npz", np.random.default_rng(0)
    write_npz(path, ARRAYS)
    whole, told = path.read_bytes(), []
    for _ in range(500):
        damaged = bytearray(whole)
        for place in rng.integers(len(whole), size=rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read = read_npz(path)
        except ValueError as error:
            told.append(str(error))
        else:
            assert sum(array.nbytes for array in read.values()) <= len(damaged)
    assert len(told) > 250
    assert all(str(path) in message and len(message) <= 500 for message in told)
