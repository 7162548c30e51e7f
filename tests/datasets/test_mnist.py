import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chainrule.datasets import (
    download,
    load_fashion_mnist,
    load_mnist,
    load_mnist_sample,
    read_idx,
    write_idx,
)
from chainrule.datasets.idx import sha256


def fill(folder, files, spelling="{}.gz"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in files.items():
        write_idx(folder / spelling.format(name), array)


def assert_is(loaded, files):
    (x_train, t_train), (x_test, t_test) = loaded
    for x, images in ((x_train, download.TRAIN_IMAGES), (x_test, download.TEST_IMAGES)):
        assert x.dtype == np.float32
        expected = (files[images].reshape(-1, 784) / 255).astype(np.float32)
        np.testing.assert_allclose(x, expected, rtol=1e-7)
    for t, labels in ((t_train, download.TRAIN_LABELS), (t_test, download.TEST_LABELS)):
        assert t.dtype == np.int64
        np.testing.assert_array_equal(t, files[labels])


@pytest.mark.parametrize("spelling", ["{}.gz", "{}"])
@pytest.mark.parametrize("dots", [False, True])
def test_the_usual_spellings_in_a_given_folder(tmp_path, files, spelling, dots):
    named = {name.replace("-idx", ".idx") if dots else name: files[name] for name in files}
    fill(tmp_path, named, spelling)
    assert_is(load_mnist(tmp_path), files)
    assert_is(load_fashion_mnist(str(tmp_path)), files)


@pytest.mark.parametrize("load", [load_mnist, load_fashion_mnist])
def test_options(tmp_path, files, load):
    fill(tmp_path, files)
    (x, t), (x_test, t_test) = load(tmp_path, normalize=False, flatten=False, one_hot=True)
    assert x.dtype == np.uint8
    np.testing.assert_array_equal(x[:, 0], files[download.TRAIN_IMAGES])
    assert x_test.shape == (20, 1, 28, 28)
    assert t.dtype == np.float32
    assert t_test.shape == (20, 10)
    np.testing.assert_array_equal(t, np.eye(10)[files[download.TRAIN_LABELS]])
    (x, _), _ = load(tmp_path, flatten=False)
    assert x.dtype == np.float32
    assert 0 <= x.min() < x.max() <= 1


def test_white_is_exactly_one(tmp_path, files):
    files[download.TRAIN_IMAGES][...] = 255
    fill(tmp_path, files)
    (x, _), _ = load_mnist(tmp_path)
    assert (x == 1).all()


def test_the_environment_names_the_folder(empty_machine, monkeypatch, files):
    monkeypatch.setenv("CHAINRULE_DATA", str(empty_machine / "data"))
    fill(empty_machine / "data" / "mnist", files)
    assert_is(load_mnist(), files)
    fashion = {name: array // 2 for name, array in files.items()}
    fill(empty_machine / "data" / "fashion-mnist", fashion)
    assert_is(load_fashion_mnist(), fashion)


def test_the_cache_is_used_and_a_given_folder_has_no_substitute(empty_machine, files):
    fill(empty_machine / "cache" / "chainrule" / "mnist", files)
    assert_is(load_mnist(), files)
    with pytest.raises(FileNotFoundError, match=r"elsewhere has no train-images-idx3-ubyte and no"):
        load_mnist(empty_machine / "elsewhere")


def test_an_incomplete_folder_of_the_environment_is_passed_over(empty_machine, monkeypatch, files):
    monkeypatch.setenv("CHAINRULE_DATA", str(empty_machine / "data"))
    fill(empty_machine / "data" / "mnist", {download.TRAIN_IMAGES: np.zeros(3, np.uint8)})
    fill(empty_machine / "cache" / "chainrule" / "mnist", files)
    assert_is(load_mnist(), files)


def test_debian_folder_of_fashion_mnist():
    assert Path("/usr/share/datasets/fashion-mnist") in download.FASHION_MNIST.system_folders


def test_system_folder(empty_machine, monkeypatch, files):
    folder = empty_machine / "usr" / "share"
    fill(folder, files)
    source = replace(download.FASHION_MNIST, system_folders=(folder,))
    monkeypatch.setattr(download, "FASHION_MNIST", source)
    assert_is(load_fashion_mnist(), files)


def test_the_home_folder_is_understood(empty_machine, monkeypatch, files):
    monkeypatch.setenv("HOME", str(empty_machine))
    monkeypatch.setenv("USERPROFILE", str(empty_machine))
    fill(empty_machine / "digits", files)
    assert_is(load_mnist("~/digits"), files)
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert download.cache_folder(download.MNIST) == empty_machine / ".cache/chainrule/mnist"


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("TRAIN_IMAGES", np.zeros((30, 27, 28), np.uint8), r"uint8 of shape \(30, 27, 28\)"),
        ("TEST_IMAGES", np.zeros((20, 28, 28), np.int8), r"int8 of shape .* expected uint8"),
        ("TEST_IMAGES", np.zeros(20, np.uint8), r"expected uint8 of shape \(N, 28, 28\)"),
        ("TRAIN_LABELS", np.zeros(29, np.uint8), r"shape \(29,\), expected uint8 of shape \(30,\)"),
        ("TEST_LABELS", np.zeros(20, np.int32), r"holds int32"),
        ("TEST_LABELS", np.full(20, 10, np.uint8), r"holds the label 10, expected 0 to 9"),
    ],
)
def test_files_that_do_not_fit_are_named(tmp_path, files, name, array, message):
    name = getattr(download, name)
    files[name] = array
    fill(tmp_path, files)
    with pytest.raises(ValueError, match=f"{name}.gz: .*{message}"):
        load_mnist(tmp_path)


def test_a_damaged_file_is_named(tmp_path, files):
    fill(tmp_path, files)
    path = tmp_path / f"{download.TEST_IMAGES}.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte.gz: corrupt gzip"):
        load_mnist(tmp_path)


def test_sample():
    (x_train, t_train), (x_test, t_test) = load_mnist_sample()
    assert x_train.shape == (4000, 784)
    assert x_test.shape == (1000, 784)
    assert x_train.dtype == np.float32
    assert x_train.min() == 0
    assert x_train.max() == 1
    for t in (t_train, t_test):
        assert t.dtype == np.int64
        np.testing.assert_array_equal(t, np.arange(len(t)) % 10)
    assert len(np.unique(np.vstack([x_train, x_test]), axis=0)) == 5000


def test_sample_options():
    (x, t), (x_test, t_test) = load_mnist_sample(normalize=False, flatten=False, one_hot=True)
    assert x.shape == (4000, 1, 28, 28)
    assert x.dtype == x_test.dtype == np.uint8
    assert t.shape == (4000, 10)
    assert t_test.dtype == np.float32


def test_sample_is_a_folder_that_load_mnist_reads():
    folder = Path(download.__file__).parent / "data"
    for pair, expected in zip(load_mnist(folder), load_mnist_sample(), strict=True):
        for array, same in zip(pair, expected, strict=True):
            np.testing.assert_array_equal(array, same)
    assert "CC BY-SA 3.0" in (folder / "README.md").read_text()


FULL = Path(os.environ.get("CHAINRULE_DATA", ""), "mnist")


@pytest.mark.skipif("CHAINRULE_DATA" not in os.environ, reason="CHAINRULE_DATA names no data")
def test_full_mnist_holds_every_image_of_the_sample():
    for name, expected in download.MNIST.sha256.items():
        array = read_idx(download.find(FULL, name))
        assert sha256(array) == expected
    (x, t), (x_test, _) = load_mnist(FULL, normalize=False)
    assert x.shape == (60000, 784)
    assert x_test.shape == (10000, 784)
    label = {image.tobytes(): digit for image, digit in zip(x, t, strict=True)}
    for images, labels in load_mnist_sample(normalize=False):
        assert [label[image.tobytes()] for image in images] == labels.tolist()


@pytest.mark.skipif("CHAINRULE_DATA" not in os.environ, reason="CHAINRULE_DATA names no data")
def test_the_real_files_pass_as_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("CHAINRULE_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "chainrule" / "mnist"
    folder.mkdir(parents=True)
    for name in download.MNIST.sha256:
        shutil.copy(download.find(FULL, name), folder)
    assert load_mnist()[1][1][:5].tolist() == [7, 2, 1, 0, 4]


def test_the_import_stays_light():
    heavy = "{'scipy', 'pooch', 'requests', 'tqdm', 'matplotlib'}"
    code = f"import sys, chainrule.datasets; print(sorted({heavy} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
