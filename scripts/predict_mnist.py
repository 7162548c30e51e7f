"""Read handwritten digits with a net that train_mnist.py trained: accuracy, confusion matrix.

The net is built again from its weights, or it is an ONNX model (.onnx), which onnxruntime runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import digits


def confusion_matrix(predicted: NDArray[Any], t: NDArray[Any]) -> NDArray[Any]:
    """Return how often each digit (row) was read as each digit (column)."""
    return np.bincount(10 * t + predicted, minlength=100).reshape(10, 10)


def print_matrix(matrix: NDArray[Any]) -> None:
    """Print one row for each true digit, with the fraction that was read correctly."""
    print("truth  read as" + "".join(f"{digit:6}" for digit in range(10)) + "  correct")
    for digit, row in enumerate(matrix):
        share = row[digit] / max(row.sum(), 1)
        cells = "".join(f"{count:6}" if count else "     ." for count in row)
        print(f"{digit:5}         {cells}  {share:7.1%}")


def main(argv: list[str] | None = None) -> None:
    """Read the test digits and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "weights", metavar="WEIGHTS", type=Path, help="such as out/weights.npz, or FILE.onnx"
    )
    parser.add_argument(
        "--data",
        metavar="sample|full|fashion|DIR",
        type=digits.source,
        help="whose test digits to read (those of the data that the net was trained on; beware: "
        "the full MNIST trains on the digits of the sample)",
    )
    args = parser.parse_args(argv)

    if args.weights.suffix == ".onnx":
        import onnx_digits

        session, data = onnx_digits.load(args.weights)
        _, (x, t) = digits.load(args.data or data)
        predicted = onnx_digits.predict(session, x)
    else:
        net, settings = digits.restore(args.weights)
        _, (x, t) = digits.load(args.data or settings.data)
        predicted = digits.predict(net, settings.inputs(x))

    right = np.count_nonzero(predicted == t)
    print(f"test accuracy: {right / len(t):.2%} ({right:,} of {len(t):,} images)\n")
    print_matrix(confusion_matrix(predicted, t))


if __name__ == "__main__":
    main()
