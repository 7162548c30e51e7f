"""What the MNIST scripts share: the data, the nets by name, and weights that know their net."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.datasets import batches, load_fashion_mnist, load_mnist, load_mnist_sample
from chainrule.layers import ReLU, Sigmoid
from chainrule.networks import (
    Sequential,
    one_layer_net,
    residual_conv_net,
    simple_conv_net,
    two_layer_net,
)
from endings import one_line

Pair = tuple[NDArray[Any], NDArray[Any]]

LOADERS: dict[str, Callable[[], tuple[Pair, Pair]]] = {
    "sample": load_mnist_sample,
    "full": load_mnist,
    "fashion": load_fashion_mnist,
}
MODELS = ("one-layer", "two-layer", "conv", "deep")
ACTIVATIONS: dict[str, type[Sigmoid] | type[ReLU]] = {"sigmoid": Sigmoid, "relu": ReLU}


def source(text: str) -> str:
    """Return the name of known data as it is, and a folder so that it holds from anywhere."""
    return text if text in LOADERS else str(Path(text).expanduser().resolve())


def load(data: str) -> tuple[Pair, Pair]:
    """Load the ``sample``, the ``full`` MNIST, ``fashion``, or the files of a folder."""
    with one_line("no digits", OSError, ValueError, ModuleNotFoundError):
        return LOADERS[data]() if data in LOADERS else load_mnist(data)


@dataclass(frozen=True)
class Settings:
    """All it takes to build a net again, and the data it was trained on."""

    model: str
    data: str
    seed: int
    activation: str = "relu"  # of the two-layer net alone, as is the next
    hidden: int = 100

    def build(self) -> tuple[Sequential, np.random.Generator]:
        """Return the net with fresh weights, and the Generator that drew them."""
        rng = np.random.default_rng(self.seed)
        return self._net(rng), rng

    def inputs(self, x: NDArray[Any]) -> NDArray[Any]:
        """Return rows of pixels in the shape that the net takes."""
        return x.reshape(-1, 1, 28, 28) if self.model in ("conv", "deep") else x

    def _net(self, rng: np.random.Generator) -> Sequential:
        if self.model == "conv":
            return simple_conv_net(rng)
        if self.model == "deep":
            return residual_conv_net(rng)
        if self.model == "one-layer":
            return one_layer_net(784, 10, rng)
        activation = ACTIVATIONS[self.activation]
        return two_layer_net(784, self.hidden, 10, rng, activation=activation)


def save(path: Path, net: Sequential, settings: Settings) -> None:
    """Write the weights to `path` and the settings beside them, as JSON."""
    net.save(path)
    path.with_suffix(".json").write_text(json.dumps(asdict(settings), indent=2) + "\n")


def restore(path: Path) -> tuple[Sequential, Settings]:
    """Build the net that `save` wrote."""
    beside = path.with_suffix(".json")
    begin = f"cannot rebuild the net from {path} and {beside}"
    with one_line(begin, OSError, ValueError, TypeError, KeyError):
        settings = Settings(**json.loads(beside.read_text()))
        net, _ = settings.build()
        net.load(path)
    return net, settings


def predict(net: Sequential, x: NDArray[Any]) -> NDArray[Any]:
    """Return the label that `net` gives each input."""
    parts = [net.predict(part).argmax(axis=1) for part in batches(x, batch_size=1000)]
    return np.concatenate(parts)
