"""Draw the figures of the articles from live layers: values forward, gradients backward.

Each figure is an SVG file that a browser opens; with --png there is a PNG beside it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from chainrule.datasets import load_mnist_sample, shopping, truth_table, xor_truth_table
from chainrule.layers import (
    AddLayer,
    Affine,
    CrossEntropyLoss,
    Identity,
    MatMul,
    MSELoss,
    MulLayer,
    Repeat,
    Sigmoid,
    Sum,
)
from chainrule.networks import SGD, Branch, FunctionStack, Parallel, Sequential, draw
from chainrule.networks.drawing import Picture
from endings import exit_code, one_line


def apple() -> Picture:
    """Two apples at 100 with 10 % tax: the picture at the top of the README."""
    shop = Sequential(Parallel(MulLayer(), Identity()), MulLayer())
    return draw(shop, (100, 2), 1.1, names=["apple", "number", "tax", "price"])


def apple_orange() -> Picture:
    """Two apples, three oranges and tax."""
    fruit = Sequential(Parallel(MulLayer(), MulLayer()), AddLayer())
    shop = Sequential(Parallel(fruit, Identity()), MulLayer())
    return draw(shop, *shopping(), names=["apple", "apples", "orange", "oranges", "tax", "price"])


def parabola() -> Picture:
    """The parabola y = w1 x^2 + w2 x + b at x = 2, where t = (x + 1)^2 = 9, before any training."""
    stack = FunctionStack()
    w1, x, w2, b = (stack.value(v, name) for v, name in zip((1, 2, 1, 1), WEIGHTS, strict=True))
    square = stack.push(MulLayer(), x, x)
    terms = stack.push(MulLayer(), w1, square), stack.push(MulLayer(), x, w2)
    y = stack.push(AddLayer(), stack.push(AddLayer(), terms), b)
    loss = stack.push(MSELoss(), y, stack.value(9, "t"))
    y.name, loss.name = "y", "loss"
    stack.backward(loss)
    return draw(stack)


WEIGHTS = "w1", "x", "w2", "b"


def neuron() -> Picture:
    """A neuron of two inputs: h = a wa + b wb."""
    net = Sequential(Parallel(MulLayer(), MulLayer()), AddLayer())
    return draw(net, (1.0, 0.5), (2.0, -0.25), names=["a", "wa", "b", "wb", "h"])


def square_plus_x() -> Picture:
    """x^2 + x: a value that is used three times."""
    stack = FunctionStack()
    x = stack.value(3, "x")
    y = stack.push(AddLayer(), stack.push(MulLayer(), x, x), x)
    y.name = "y"
    stack.backward(y)
    return draw(stack)


def add_node() -> Picture:
    """An addition passes the gradient on to both."""
    return draw(AddLayer(), 10, 5, dout=1.3, names=["x", "y", "x + y"])


def multiply_node() -> Picture:
    """A multiplication multiplies the gradient by the other input."""
    return draw(MulLayer(), 10, 5, dout=1.3, names=["x", "y", "x y"])


def branch_node() -> Picture:
    """A branch adds the gradients up."""
    return draw(Branch(2), 10, dout=(1.3, 2.0), names=["x"])


def repeat_node() -> Picture:
    """A repetition adds the gradients of the copies up."""
    dout = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    return draw(Repeat(3), np.array([10.0, 20.0]), dout=dout)


def sum_node() -> Picture:
    """A sum repeats the gradient."""
    x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    return draw(Sum(axis=0), x, dout=np.array([10.0, 20.0]))


def matmul_node() -> Picture:
    """A matrix product: dx = dout W^T, dW = x^T dout."""
    W = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    return draw(MatMul(W), np.array([[1.0, 2.0]]), dout=np.array([[1.0, 0.0, -1.0]]))


def sigmoid_net() -> Picture:
    """The net of ten lines after its 10,000 steps."""
    random = np.random.RandomState(1).random_sample  # the articles' generator, for their digits
    net = Sequential(MatMul(2 * random((3, 1)) - 1), Sigmoid())
    return trained(net, *truth_table(), steps=10_000)


def sigmoid_net_hidden() -> Picture:
    """The net with a hidden layer after 60,000 steps on XOR."""
    random = np.random.RandomState(1).random_sample
    W1, W2 = 2 * random((3, 4)) - 1, 2 * random((4, 1)) - 1
    net = Sequential(MatMul(W1), Sigmoid(), MatMul(W2), Sigmoid())
    return trained(net, *xor_truth_table(), steps=60_000)


def trained(net: Sequential, x: np.ndarray, t: np.ndarray, steps: int) -> Picture:
    """Train the net and draw it with its loss, which is the sum of squared errors."""
    loss, optimizer = MSELoss(reduction="sum"), SGD(lr=0.5)
    for _ in range(steps):
        loss.forward(net.forward(x), t)
        net.backward(loss.backward())
        optimizer.step(net.params, net.grads)
    return draw(net, x, loss=loss, t=t)


def digits() -> Picture:
    """One layer of weights, 784-10, on a batch of 100 digits."""
    (x, t), _ = load_mnist_sample()
    net = Sequential(Affine.random(784, 10, np.random.default_rng(0)))
    return draw(net, x[:100], loss=CrossEntropyLoss(), t=t[:100])


def digits_hidden() -> Picture:
    """The same with a hidden layer, 784-50-10."""
    (x, t), _ = load_mnist_sample()
    rng = np.random.default_rng(0)
    net = Sequential(Affine.random(784, 50, rng), Sigmoid(), Affine.random(50, 10, rng))
    return draw(net, x[:100], loss=CrossEntropyLoss(), t=t[:100])


FIGURES: list[Callable[[], Picture]] = [
    *(apple, apple_orange, neuron, parabola, square_plus_x),
    *(add_node, multiply_node, branch_node, repeat_node, sum_node, matmul_node),
    *(sigmoid_net, sigmoid_net_hidden, digits, digits_hidden),
]


def main(argv: list[str] | None = None) -> None:
    """Draw all figures, or those that are named."""
    names = {figure.__name__: figure for figure in FIGURES}
    parser = argparse.ArgumentParser(description=__doc__, epilog="figures: " + ", ".join(names))
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help="which (all)")
    parser.add_argument("--out", type=Path, default=Path("graphs"), help="folder (graphs)")
    parser.add_argument("--png", action="store_true", help="PNG files too; needs cairosvg")
    args = parser.parse_args(argv)
    if unknown := set(args.figures) - set(names):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    with one_line("--out", OSError):
        args.out.mkdir(parents=True, exist_ok=True)
    for name in args.figures or names:
        picture = names[name]()
        for ending in (".svg", ".png") if args.png else (".svg",):
            path = args.out / f"{name}{ending}"
            with one_line("--out", OSError), one_line("--png", ImportError):
                picture.save(path)
            print(f"wrote {path}")


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
