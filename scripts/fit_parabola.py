"""Fit y = w1 x^2 + w2 x + b to the points (1, 4), (2, 9), (3, 16), which lie on y = (x + 1)^2.

All parameters start at 1, every point is a step of its own, and everything is float32. Printed is
the prediction for x = 4, where the parabola has 25.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chainrule.datasets import parabola
from chainrule.layers import Affine, MSELoss
from chainrule.networks import SGD, Sequential, Trainer
from endings import exit_code

Array = NDArray[np.float32]


def features(x: Array) -> Array:
    """Return the columns x^2 and x: in these the parabola is a plane, which `Affine` can be."""
    return np.hstack([x * x, x])


def main(argv: list[str] | None = None) -> None:
    """Train, and print the prediction before, on the way and after."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", metavar="FILE", type=Path, help="draw the loss curve, as a PNG")
    args = parser.parse_args(argv)
    if args.plot:
        import pictures

        pictures.check(args.plot)
    x, t = (column.astype(np.float32) for column in parabola())
    four = features(np.array([[4]], np.float32))
    affine = Affine(W=np.ones((2, 1), np.float32), b=np.ones(1, np.float32))
    net = Sequential(affine)
    trainer = Trainer(net, MSELoss(), SGD(lr=0.01), rng=np.random.default_rng(0))

    print("before training:   ", net.predict(four).item())
    losses = []
    for epoch in range(1, 10_001):
        steps = [trainer.train_step(features(x[i : i + 1]), t[i : i + 1]) for i in range(len(x))]
        losses.append(sum(steps) / len(steps))
        if epoch in (1_000, 10_000):
            print(f"after {epoch:5} epochs:", net.predict(four).item())
    (w1, w2), b = affine.W[:, 0], affine.b[0]
    print(f"y = {w1:.4f} x^2 + {w2:.4f} x + {b:.4f}")

    if args.plot:
        pictures.loss_curve(args.plot, losses, "Fitting a parabola")


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
