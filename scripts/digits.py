"""What the MNIST scripts share: the digits, the nets by name, and weights that know their net."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.datasets import load_mnist, load_mnist_sample
from chainrule.layers import ReLU, Sigmoid
from chainrule.networks import Sequential, one_layer_net, two_layer_net

Pair = tuple[NDArray[Any], NDArray[Any]]

MODELS = ("one-layer", "two-layer")
ACTIVATIONS: dict[str, type[Sigmoid] | type[ReLU]] = {"sigmoid": Sigmoid, "relu": ReLU}


def source(text: str) -> str:
    """Return ``sample`` or ``full`` as it is, and a folder so that it holds from anywhere."""
    return text if text in ("sample", "full") else str(Path(text).expanduser().resolve())


def load(data: str) -> tuple[Pair, Pair]:
    """Load the ``sample``, the ``full`` MNIST, or the files of a folder."""
    try:
        if data == "sample":
            return load_mnist_sample()
        return load_mnist(None if data == "full" else data)
    except (OSError, ValueError, ModuleNotFoundError) as error:
        raise SystemExit(f"no digits: {error}") from error


@dataclass(frozen=True)
class Settings:
    """All it takes to build a net again, and the data it was trained on."""

    model: str
    activation: str
    hidden: int
    data: str

    def build(self, rng: np.random.Generator) -> Sequential:
        """Return the net with fresh weights."""
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
    try:
        settings = Settings(**json.loads(beside.read_text()))
        net = settings.build(np.random.default_rng(0))
        net.load(path)
    except (OSError, ValueError, TypeError, KeyError) as error:
        message = f"cannot rebuild the net from {path} and {beside}: {error}"
        raise SystemExit(message) from error
    return net, settings
