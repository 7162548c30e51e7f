"""MNIST, a sample of it inside the package, and Fashion-MNIST."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import download, transforms
from .download import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from .idx import read_idx

_Array = npt.NDArray[Any]
_Pair = tuple[_Array, _Array]


def load_mnist(
    root: str | os.PathLike[str] | None = None,
    normalize: bool = True,
    flatten: bool = True,
    one_hot: bool = False,
) -> tuple[_Pair, _Pair]:
    """Load the handwritten digits of MNIST: 60,000 for training and 10,000 for testing.

    The four IDX files, gzipped or not, are read from the folder `root`; without a `root` from
    ``$CHAINRULE_DATA/mnist`` or the user's cache (``~/.cache/chainrule/mnist``). If they are in
    neither, they are downloaded into the cache, which needs pooch (``chainrule[data]``). Files of
    the cache and downloads are verified by their SHA-256.

    Parameters
    ----------
    root : path, optional
        The only folder to look in.
    normalize : bool, default True
        Pixels as float32 from 0 to 1; else as uint8 from 0 to 255.
    flatten : bool, default True
        Images of shape (N, 784); else (N, 1, 28, 28).
    one_hot : bool, default False
        Labels as float32 unit vectors of shape (N, 10); else as int64 of shape (N,).

    Returns
    -------
    train : pair of arrays
        Images and labels for training: ``(x_train, t_train), (x_test, t_test) = load_mnist()``.
    test : pair of arrays
        Images and labels for testing.

    Raises
    ------
    FileNotFoundError
        If a file is missing in `root`.
    ValueError
        If a file is damaged or does not hold 28x28 images or labels from 0 to 9.
    OSError
        If no mirror gave a file; the message has each mirror's reason and what to do.
    ModuleNotFoundError
        If pooch is needed and not installed.

    References
    ----------
    Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits".
    """
    return _load(download.MNIST, root, normalize, flatten, one_hot)


def load_fashion_mnist(
    root: str | os.PathLike[str] | None = None,
    normalize: bool = True,
    flatten: bool = True,
    one_hot: bool = False,
) -> tuple[_Pair, _Pair]:
    """Load Fashion-MNIST: 60,000 and 10,000 images of clothes in the format of MNIST.

    Labels 0 to 9 are T-shirt/top, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag and
    ankle boot. The folders are ``$CHAINRULE_DATA/fashion-mnist``,
    ``/usr/share/datasets/fashion-mnist`` (Debian's package dataset-fashion-mnist) and
    ``~/.cache/chainrule/fashion-mnist``. Errors are those of `load_mnist`.

    Parameters
    ----------
    root : path, optional
        The only folder to look in.
    normalize : bool, default True
        Pixels as float32 from 0 to 1; else as uint8 from 0 to 255.
    flatten : bool, default True
        Images of shape (N, 784); else (N, 1, 28, 28).
    one_hot : bool, default False
        Labels as float32 unit vectors of shape (N, 10); else as int64 of shape (N,).

    Returns
    -------
    train : pair of arrays
        Images and labels for training.
    test : pair of arrays
        Images and labels for testing.

    References
    ----------
    H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking
    machine learning algorithms", arXiv:1708.07747.
    """
    return _load(download.FASHION_MNIST, root, normalize, flatten, one_hot)


def load_mnist_sample(
    normalize: bool = True, flatten: bool = True, one_hot: bool = False
) -> tuple[_Pair, _Pair]:
    """Load the 5,000 digits inside the package: 4,000 for training and 1,000 for testing.

    All are from MNIST's training file, 400 and 100 of each digit, in the order 0, 1, ..., 9,
    0, 1, ... The data are licensed CC BY-SA 3.0; ``data/README.md`` beside this module describes
    their origin.

    Parameters
    ----------
    normalize : bool, default True
        Pixels as float32 from 0 to 1; else as uint8 from 0 to 255.
    flatten : bool, default True
        Images of shape (N, 784); else (N, 1, 28, 28).
    one_hot : bool, default False
        Labels as float32 unit vectors of shape (N, 10); else as int64 of shape (N,).

    Returns
    -------
    train : pair of arrays
        Images and labels for training.
    test : pair of arrays
        Images and labels for testing.
    """
    folder = resources.files(__package__) / "data"

    def read(name: str) -> _Array:
        with resources.as_file(folder / f"{name}.gz") as path:
            return read_idx(path)

    options = normalize, flatten, one_hot
    train = _prepared((read(TRAIN_IMAGES), read(TRAIN_LABELS)), *options)
    test = _prepared((read(TEST_IMAGES), read(TEST_LABELS)), *options)
    return train, test


def _load(
    source: download.Source,
    root: str | os.PathLike[str] | None,
    normalize: bool,
    flatten: bool,
    one_hot: bool,
) -> tuple[_Pair, _Pair]:
    folder = _folder(source) if root is None else Path(root).expanduser()
    pairs = []
    for images_name, labels_name in ((TRAIN_IMAGES, TRAIN_LABELS), (TEST_IMAGES, TEST_LABELS)):
        if folder is None:
            pair = download.cached(source, images_name), download.cached(source, labels_name)
        else:
            pair = _read_pair(folder, images_name, labels_name)
        pairs.append(_prepared(pair, normalize, flatten, one_hot))
    return pairs[0], pairs[1]


def _folder(source: download.Source) -> Path | None:
    """Return the first folder, of the user's or the system's, that has all four files."""
    folders = list(source.system_folders)
    if data := os.environ.get("CHAINRULE_DATA"):
        folders.insert(0, Path(data).expanduser() / source.folder)
    return next((f for f in folders if all(download.find(f, name) for name in source.sha256)), None)


def _read_pair(folder: Path, images_name: str, labels_name: str) -> _Pair:
    """Read images and their labels; an error names the file that is wrong."""
    paths = []
    for name in (images_name, labels_name):
        path = download.find(folder, name)
        if path is None:
            raise FileNotFoundError(f"{folder} has no {name} and no {name}.gz")
        paths.append(path)
    images, labels = map(read_idx, paths)
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28):
        found = f"{images.dtype} of shape {images.shape}"
        raise ValueError(f"{paths[0]}: holds {found}, expected uint8 of shape (N, 28, 28)")
    if labels.dtype != np.uint8 or labels.shape != images.shape[:1]:
        found = f"{labels.dtype} of shape {labels.shape}"
        raise ValueError(f"{paths[1]}: holds {found}, expected uint8 of shape ({len(images)},)")
    if (wrong := labels[labels > 9]).size:
        raise ValueError(f"{paths[1]}: holds the label {wrong[0]}, expected 0 to 9")
    return images, labels


def _prepared(pair: _Pair, normalize: bool, flatten: bool, one_hot: bool) -> _Pair:
    images, labels = pair
    x = images.reshape(-1, 784) if flatten else images.reshape(-1, 1, 28, 28)
    if normalize:
        x = x / np.float32(255)
    return x, transforms.one_hot(labels, 10) if one_hot else labels.astype(np.int64)
