"""Train a 2-4-1 net on XOR, which no single layer can learn, and print its table before and after.

Exit code 1 says that the net did not learn the table.
"""

from __future__ import annotations

import argparse

import numpy as np

import arguments
from chainrule.datasets import xor
from chainrule.layers import Affine, MSELoss, Sigmoid, xavier_normal
from chainrule.networks import SGD, Sequential, Trainer
from endings import exit_code


def print_table(net: Sequential) -> None:
    """Print inputs, target and output of each row."""
    x, t = xor()
    print("x1 x2   t  net")
    for (x1, x2), target, y in zip(x, t[:, 0], net.predict(x)[:, 0], strict=True):
        print(f" {x1:.0f}  {x2:.0f}   {target:.0f}  {y:.3f}")


def main(argv: list[str] | None = None) -> int:
    """Train for 5,000 steps on all four rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=arguments.seed, default=0, help="for the weights (0)")
    args = parser.parse_args(argv)

    rng = np.random.default_rng(args.seed)
    x, t = xor()
    net = Sequential(
        Affine.random(2, 4, rng, init=xavier_normal, dtype=np.float64),
        Sigmoid(),
        Affine.random(4, 1, rng, init=xavier_normal, dtype=np.float64),
        Sigmoid(),
    )
    trainer = Trainer(net, MSELoss(), SGD(lr=1.0, momentum=0.9), rng=rng)

    print("before training")
    print_table(net)
    for _ in range(5_000):
        trainer.train_step(x, t)
    print("\nafter 5,000 steps")
    print_table(net)
    return 0 if np.abs(net.predict(x) - t).max() < 0.1 else 1


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
