"""Train two small sigmoid nets on truth tables of three inputs, the third of which is always 1.

The first, with one layer of weights, learns the table whose target is the first input. The second,
with a hidden layer of four, learns XOR, which one layer cannot. Their loss is the sum of squared
errors and the learning rate 0.5: each step subtracts the products of inputs and deltas as they are.
"""

from __future__ import annotations

import argparse

import numpy as np

import arguments
from chainrule.datasets import truth_table, xor_truth_table
from chainrule.layers import MatMul, MSELoss, Sigmoid
from chainrule.networks import SGD, Sequential
from endings import exit_code


def one_layer(seed: int) -> None:
    """Train a 3-1 net for 10,000 steps and print its outputs."""
    random = np.random.RandomState(seed).random_sample  # the articles' generator, for their digits
    x, t = truth_table()
    net = Sequential(
        MatMul(2 * random((3, 1)) - 1),
        Sigmoid(),
    )
    loss, optimizer = MSELoss(reduction="sum"), SGD(lr=0.5)

    for _ in range(10_000):
        y = net.forward(x)
        loss.forward(y, t)
        net.backward(loss.backward())
        optimizer.step(net.params, net.grads)
    print("one layer, outputs after 10,000 steps:")
    print(y)


def two_layers(seed: int) -> None:
    """Train a 3-4-1 net for 60,000 steps and print its mean error on the way."""
    random = np.random.RandomState(seed).random_sample
    x, t = xor_truth_table()
    net = Sequential(
        MatMul(2 * random((3, 4)) - 1),
        Sigmoid(),
        MatMul(2 * random((4, 1)) - 1),
        Sigmoid(),
    )
    loss, optimizer = MSELoss(reduction="sum"), SGD(lr=0.5)

    print("two layers, mean |error| every 10,000 steps:")
    for step in range(60_000):
        y = net.forward(x)
        loss.forward(y, t)
        if step % 10_000 == 0:
            print(f"{np.abs(t - y).mean():.12g}")
        net.backward(loss.backward())
        optimizer.step(net.params, net.grads)


def main(argv: list[str] | None = None) -> None:
    """Train both nets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=arguments.seed, default=1, help="for the weights (1)")
    args = parser.parse_args(argv)
    one_layer(args.seed)
    print()
    two_layers(args.seed)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
