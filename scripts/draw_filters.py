"""Draw what a convolution net of train_mnist.py has learned: its first filters and its mistakes.

filters.png has the kernels of the first layer before training and after; mistakes.png the test
images that the net reads wrongly.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import digits
import pictures
from chainrule.layers import Convolution
from chainrule.networks import Network, Sequential


def first_filters(net: Network) -> NDArray[Any]:
    """Return W of the first convolution, however deep it lies in the net."""
    layer: Any = net
    while isinstance(layer, Sequential):
        layer = layer[0]
    if not isinstance(layer, Convolution):
        raise SystemExit(f"the first layer is {layer!r}: give weights of --model conv or deep")
    return layer.W


def main(argv: list[str] | None = None) -> None:
    """Draw both pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", metavar="WEIGHTS", type=Path, help="such as out/weights.npz")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help="for the pictures (beside the weights)"
    )
    args = parser.parse_args(argv)
    out = args.out or args.weights.parent

    net, settings = digits.restore(args.weights)
    untrained, _ = settings.build()
    before, after = first_filters(untrained), first_filters(net)
    pictures.filters(out / "filters.png", before, after)

    _, (x, t) = digits.load(settings.data)
    predicted = digits.predict(net, settings.inputs(x))
    wrong = predicted != t
    title = f"{np.count_nonzero(wrong):,} of {len(t):,} test images are read wrongly"
    pictures.digit_grid(out / "mistakes.png", x[wrong], predicted[wrong], t[wrong], title)


if __name__ == "__main__":
    main()
