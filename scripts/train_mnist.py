"""Train a net to read handwritten digits, test it and save its weights.

The 5,000 digits that come with the package take a few seconds. The one-layer net is a sigmoid of
weighted sums and is trained by the mean squared error; the two-layer net has a hidden layer and is
trained by cross entropy.

The net with which the textbook starts, for the whole of MNIST:
  train_mnist.py --data full --activation sigmoid --hidden 50 --optimizer sgd --batch-size 100
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import arguments
import digits
from chainrule.datasets import one_hot
from chainrule.layers import CrossEntropyLoss, MSELoss
from chainrule.networks import SGD, Adam, Trainer, accuracy

OPTIMIZERS = {"adam": Adam, "sgd": SGD}
LEARNING_RATES = {"adam": 0.003, "sgd": 0.1}


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the options, all of which have a default."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--data",
        metavar="sample|full|DIR",
        type=digits.source,
        default="sample",
        help="the digits of the package, the whole of MNIST, or the IDX files in a folder (sample)",
    )
    add("--model", choices=digits.MODELS, default="two-layer", help="which net (two-layer)")
    two_layer = parser.add_argument_group("the two-layer net")
    two_layer.add_argument(
        "--activation",
        choices=digits.ACTIVATIONS,
        default="relu",
        help="of the hidden layer (relu)",
    )
    two_layer.add_argument(
        "--hidden",
        metavar="N",
        type=arguments.positive_int,
        default=100,
        help="width of the hidden layer (100)",
    )
    training = parser.add_argument_group("training")
    add = training.add_argument
    add(
        "--epochs",
        metavar="N",
        type=arguments.positive_int,
        default=16,
        help="times through the data (16)",
    )
    add(
        "--batch-size",
        metavar="N",
        type=arguments.positive_int,
        default=50,
        help="digits a step (50)",
    )
    add("--optimizer", choices=OPTIMIZERS, default="adam", help="(adam)")
    rates = ", ".join(f"{rate} for {name}" for name, rate in LEARNING_RATES.items())
    add("--lr", metavar="RATE", type=arguments.positive_float, help=f"learning rate ({rates})")
    add("--seed", metavar="N", type=arguments.seed, default=0, help="for weights and order (0)")
    output = parser.add_argument_group("output")
    add = output.add_argument
    add("--out", metavar="DIR", type=Path, default=Path("out"), help="for what is written (out)")
    add("--plot", action="store_true", help="draw the curves and a grid of test digits, as PNG")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Train, test, save and draw."""
    args = parse(argv)
    if args.plot:
        import pictures
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemExit(f"--out: {error}") from error
    (x, t), (x_test, t_test) = digits.load(args.data)

    rng = np.random.default_rng(args.seed)
    settings = digits.Settings(args.model, args.activation, args.hidden, args.data)
    net = settings.build(rng)
    optimizer = OPTIMIZERS[args.optimizer](lr=args.lr or LEARNING_RATES[args.optimizer])
    if args.model == "one-layer":
        trainer = Trainer(net, MSELoss(), optimizer, rng=rng)
        targets, test_targets = one_hot(t, 10), one_hot(t_test, 10)
    else:
        trainer = Trainer(net, CrossEntropyLoss(), optimizer, rng=rng)
        targets, test_targets = t, t_test
    print(f"{args.model} net, {len(t):,} digits to train on and {len(t_test):,} to test on")

    try:
        history = trainer.fit(
            x,
            targets,
            epochs=args.epochs,
            batch_size=args.batch_size,
            validation=(x_test, test_targets),
            metrics=[accuracy],
        )
    except FloatingPointError as error:
        raise SystemExit(f"training failed, perhaps --lr is too high: {error}") from error

    predicted = trainer.predict(x_test).argmax(axis=1)
    right = np.count_nonzero(predicted == t_test)
    print(f"test accuracy: {right / len(t_test):.2%} ({right:,} of {len(t_test):,} digits)")
    weights = args.out / "weights.npz"
    digits.save(weights, net, settings)
    print(f"wrote {weights}")
    if args.plot:
        pictures.save(history.plot(), args.out / "curves.png")
        pictures.digit_grid(args.out / "digits.png", x_test, predicted, t_test)
    return 0 if trainer.unfinished is None else 130  # as a shell calls a program after Ctrl-C


if __name__ == "__main__":
    raise SystemExit(main())
