"""Files of arrays: whole or not there, plain, and no larger in memory than on disk."""

import io
import os
import tracemalloc
import zipfile

import numpy as np
import pytest

from chainrule.networks.files import read_npz, write_npz

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
    monkeypatch.setattr(os, "access", lambda *args: False)  # a chmod would not stop root
    with pytest.raises(PermissionError, match="its folder does not allow it"):
        write_npz(tmp_path / "a.npz", ARRAYS)


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
    with pytest.raises(ValueError, match=r"a.npz is not a whole \.npz of plain arrays"):
        read_npz(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_every_cut_is_an_error(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path, ARRAYS)
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"a\.npz is not a whole"):
            read_npz(path)
