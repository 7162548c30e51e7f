"""Draw the losses of all optimizers on the same net and data, and their paths down a valley.

On the left: a net of 784-100-10 learns the 4,000 training digits that come with the package, from
the same weights and in the same order; its training loss. On the right: 30 steps from (-7, 2) down
x^2 / 20 + y^2, whose slope hardly points to the lowest point, (0, 0).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import arguments
import pictures
import training
from chainrule.datasets import load_mnist_sample
from chainrule.layers import CrossEntropyLoss, ReLU
from chainrule.networks import SGD, AdaGrad, Adam, AdamW, Optimizer, RMSProp, Trainer, two_layer_net
from endings import exit_code, one_line

# For each optimizer: in training, in the valley.
OPTIMIZERS: dict[str, tuple[Callable[[], Optimizer], Callable[[], Optimizer]]] = {
    "SGD": (lambda: SGD(0.1), lambda: SGD(0.95)),
    "momentum": (lambda: SGD(0.02, 0.9), lambda: SGD(0.1, 0.9)),
    "Nesterov": (lambda: SGD(0.02, 0.9, nesterov=True), lambda: SGD(0.1, 0.9, nesterov=True)),
    "AdaGrad": (lambda: AdaGrad(0.02), lambda: AdaGrad(1.5)),
    "RMSProp": (lambda: RMSProp(0.001), lambda: RMSProp(0.2)),
    "Adam": (lambda: Adam(0.001), lambda: Adam(0.3)),
    "AdamW": (lambda: AdamW(0.001, weight_decay=0.1), lambda: AdamW(0.3, weight_decay=0.1)),
}


def losses(optimizer: Optimizer, seed: int, epochs: int) -> list[float]:
    """Train the net and return each epoch's loss."""
    train, _ = load_mnist_sample()
    rng = np.random.default_rng(seed)
    net = two_layer_net(784, 100, 10, rng, activation=ReLU)
    trainer = Trainer(net, CrossEntropyLoss(), optimizer, rng=rng)
    history = training.fit(trainer, *train, epochs=epochs, batch_size=100, progress=False)
    if trainer.unfinished is not None:
        raise KeyboardInterrupt
    return history["loss"]


def way(optimizer: Optimizer, steps: int = 30) -> np.ndarray[Any, Any]:
    """Return the places, of shape (steps + 1, 2), from (-7, 2) down the valley."""
    place = np.array([-7.0, 2.0])
    places = [place.copy()]
    for _ in range(steps):
        optimizer.step([place], [place * [0.1, 2.0]])  # the gradient of x^2 / 20 + y^2
        places.append(place.copy())
    return np.array(places)


def main(argv: list[str] | None = None) -> int:
    """Train with each optimizer, walk with each, and draw both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--epochs", metavar="N", type=arguments.positive_int, default=10, help="of training (10)")
    add("--seed", metavar="N", type=arguments.seed, default=0, help="for weights and order (0)")
    picture = Path("out/optimizers.png")
    add("--out", metavar="FILE", type=Path, default=picture, help=f"the picture ({picture})")
    args = parser.parse_args(argv)
    with one_line("--out", OSError):
        args.out.parent.mkdir(parents=True, exist_ok=True)
    pictures.check(args.out)

    from matplotlib.figure import Figure  # here, since pictures has said so if it is missing

    figure = Figure(figsize=(12, 6.5), layout="constrained")
    grid = figure.add_gridspec(4, 4)
    curves = figure.add_subplot(grid[:, :2])
    x, y = np.meshgrid(np.linspace(-8, 4, 100), np.linspace(-3, 3, 100))
    for k, (name, (in_training, in_valley)) in enumerate(OPTIMIZERS.items()):
        optimizer = in_training()
        epochs = losses(optimizer, args.seed, args.epochs)
        print(f"{name:8s}  lr {optimizer.lr:<5}  loss {epochs[-1]:.4f} after {args.epochs} epochs")
        label = f"{name}, lr {optimizer.lr}"
        curves.semilogy(range(1, args.epochs + 1), epochs, color=f"C{k}", marker=".", label=label)
        valley = figure.add_subplot(grid[k // 2, 2 + k % 2])
        valley.contour(x, y, x**2 / 20 + y**2, levels=12, colors="0.85")
        walker = in_valley()
        valley.plot(*way(walker).T, color=f"C{k}", marker=".", markersize=4, linewidth=1)
        valley.plot(0, 0, "k+")
        valley.set_title(f"{name}, lr {walker.lr}", fontsize=10)
    curves.set(xlabel="epoch", ylabel="training loss")
    curves.set_xticks(range(1, args.epochs + 1, -(-args.epochs // 10)))
    curves.legend()
    pictures.save(figure, args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
