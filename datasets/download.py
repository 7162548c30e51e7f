"""The mirrors of MNIST and Fashion-MNIST, and the download of a file into the user's cache."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .idx import read_idx, sha256, write_idx

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"


@dataclass(frozen=True)
class Source:
    """A data set of four IDX files on several mirrors.

    The SHA-256 sums are of the uncompressed files: gzip writes the same content in many ways.
    """

    title: str
    folder: str
    mirrors: tuple[str, ...]
    sha256: dict[str, str]
    instead: str  # what to do where there is no network
    system_folders: tuple[Path, ...] = ()


MNIST = Source(
    title="MNIST",
    folder="mnist",
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
    ),
    sha256={
        TRAIN_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        TRAIN_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    instead="load_mnist_sample() needs no download",
)

FASHION_MNIST = Source(
    title="Fashion-MNIST",
    folder="fashion-mnist",
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    ),
    sha256={
        TRAIN_IMAGES: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        TRAIN_LABELS: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        TEST_IMAGES: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        TEST_LABELS: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    instead="on Debian, the package dataset-fashion-mnist has them and is found automatically",
    system_folders=(Path("/usr/share/datasets/fashion-mnist"),),
)


def find(folder: Path, name: str) -> Path | None:
    """Find the file `name` in `folder` under one of its usual spellings."""
    dotted = name.replace("-idx", ".idx")
    spellings = (name, f"{name}.gz", dotted, f"{dotted}.gz")
    return next((folder / each for each in spellings if (folder / each).is_file()), None)


def cache_folder(source: Source) -> Path:
    """Return ``$XDG_CACHE_HOME/chainrule/mnist``, by default below ``~/.cache``."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "chainrule" / source.folder


def cached(source: Source, name: str) -> npt.NDArray[Any]:
    """Read one file from the cache, or download it into the cache; verify it in either case."""
    folder = cache_folder(source)
    while path := find(folder, name):
        try:
            return _verified(path, source.sha256[name])
        except ValueError:
            path.unlink(missing_ok=True)
    array = _download(source, name)
    folder.mkdir(parents=True, exist_ok=True)
    write_idx(folder / name, array)
    return array


def _download(source: Source, name: str) -> npt.NDArray[Any]:
    instead = (
        f"Or put the four files ({', '.join(source.sha256)}, gzipped or not) into a folder "
        f"and pass it as root, or into $CHAINRULE_DATA/{source.folder}; {source.instead}."
    )
    try:
        import pooch  # type: ignore[import-untyped]
    except ImportError as error:
        raise ModuleNotFoundError(
            f"{source.title} was not found on this machine; downloading it needs pooch: "
            f"pip install pooch tqdm. {instead}"
        ) from error

    progressbar = sys.stderr.isatty() and importlib.util.find_spec("tqdm") is not None
    download = pooch.HTTPDownloader(progressbar=progressbar, chunk_size=1 << 16)
    failures = []
    for mirror in source.mirrors:
        url = f"{mirror}/{name}.gz"
        try:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, name)
                pooch.get_logger().info("Downloading %s", url)
                download(url, str(path), None)
                return _verified(path, source.sha256[name])
        except (OSError, ValueError) as error:
            failures.append(f"  {url}: {error}")
    reasons = "\n".join(failures)
    raise OSError(f"{source.title} could not be downloaded:\n{reasons}\nTry again later. {instead}")


def _verified(path: Path, expected: str) -> npt.NDArray[np.uint8]:
    array = read_idx(path)
    if (found := sha256(array)) != expected:
        raise ValueError(f"{path}: wrong content: its SHA-256 is {found}, expected {expected}")
    return array
