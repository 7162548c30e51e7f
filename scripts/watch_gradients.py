"""See gradients vanish: a deep sigmoid net with small weights, and a ReLU net with He's weights.

python scripts/watch_gradients.py --layers 8 --plot gradients.png
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import arguments
import training
from chainrule.datasets import load_mnist_sample
from chainrule.layers import Affine, CrossEntropyLoss, ReLU, Sigmoid, he_normal, xavier_normal
from chainrule.networks import SGD, Sequential, Trainer, gradient_flow
from endings import exit_code


def main() -> None:
    """Print the norms of each net before training, and what an epoch or more then gives."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    number: dict[str, Any] = {"metavar": "N", "type": arguments.positive_int}
    add("--layers", **number, default=8, help="hidden layers of 50 units (8)")
    add("--epochs", **number, default=3, help="(3)")
    add("--seed", metavar="N", type=arguments.seed, default=0, help="(0)")
    add("--plot", type=Path, help="start of two file names, such as gradients.png")
    options = parser.parse_args()
    if options.plot:
        import pictures

        pictures.check(options.plot)
    (x, t), test = load_mnist_sample()
    for activation, init in ((Sigmoid, xavier_normal), (ReLU, he_normal)):
        rng = np.random.default_rng(options.seed)
        sizes = [784, *[50] * options.layers]
        layers = [
            layer
            for inputs, outputs in pairwise(sizes)
            for layer in (Affine.random(inputs, outputs, rng, init=init), activation())
        ]
        net = Sequential(*layers, Affine.random(50, 10, rng))
        flow = gradient_flow(net, CrossEntropyLoss(), x[:100], t[:100])
        norms = [row["gradient"] for row in flow.rows if "gradient" in row]
        print(
            f"{activation.__name__}: gradient of layer 0 / of the last: {norms[0] / norms[-1]:.1e}"
        )
        print(flow)
        if options.plot:
            name = f"{options.plot.stem}_{activation.__name__.lower()}"
            pictures.save(flow.plot(), options.plot.with_stem(name))
        trainer = Trainer(net, CrossEntropyLoss(), SGD(0.1), rng)
        training.fit(trainer, x, t, epochs=options.epochs, batch_size=50, progress=False)
        if trainer.unfinished is not None:
            raise KeyboardInterrupt
        found = trainer.evaluate(*test)
        print(f"test accuracy after {options.epochs} epochs: {found['accuracy']:.2%}\n")


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
