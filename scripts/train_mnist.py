"""Train a net to read handwritten digits, test it and save its weights.

The 5,000 digits that come with the package take a few seconds. The two-layer net has a hidden layer
and is trained by cross entropy. The one-layer net is a sigmoid of weighted sums and is trained by
the mean squared error; its weights start so large that the sigmoid is flat, and on those few digits
it needs --epochs 100. The conv and deep nets look at the images as images.

The net with which the textbook starts, for the whole of MNIST:
  train_mnist.py --data full --activation sigmoid --hidden 50 --optimizer sgd --batch-size 100
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import arguments
import digits
import training_options
from chainrule.datasets import one_hot
from chainrule.layers import CrossEntropyLoss, Layer, MSELoss
from chainrule.networks import Trainer, accuracy


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Return the options, all of which have a default."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--data",
        metavar="sample|full|fashion|DIR",
        type=digits.source,
        default="sample",
        help="the digits of the package, all of MNIST, Fashion-MNIST, or a folder's files (sample)",
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
    training_options.add_to(parser)
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

    settings = digits.Settings(args.model, args.activation, args.hidden, args.data, args.seed)
    net, rng = settings.build()
    x, x_test = settings.inputs(x), settings.inputs(x_test)
    loss: Layer = CrossEntropyLoss()
    targets, test_targets = t, t_test
    if args.model == "one-layer":
        loss, targets, test_targets = MSELoss(), one_hot(t, 10), one_hot(t_test, 10)
    optimizer = training_options.optimizer(args)
    options = training_options.trainer_options(args, optimizer.lr, len(t))
    checkpoint = args.out / "checkpoint.npz"
    if args.resume:
        try:
            trainer = Trainer.resume(checkpoint, net, loss, optimizer, rng=rng, **options)
        except (OSError, ValueError) as error:
            raise SystemExit(f"--resume: {error}") from error
    else:
        trainer = Trainer(net, loss, optimizer, rng=rng, **options)
    print(f"{args.model} net, {len(t):,} images to train on and {len(t_test):,} to test on")

    try:
        history = trainer.fit(
            x,
            targets,
            epochs=args.epochs,
            batch_size=args.batch_size,
            validation=(x_test, test_targets),
            metrics=[accuracy],
            transform=training_options.shifted if args.augment else None,
            patience=args.patience,
            checkpoint=checkpoint,
        )
    except FloatingPointError as error:
        raise SystemExit(f"training failed, perhaps --lr is too high: {error}") from error
    except ValueError as error:
        raise SystemExit(f"cannot train: {error}") from error

    predicted = trainer.predict(x_test).argmax(axis=1)
    right = np.count_nonzero(predicted == t_test)
    print(f"test accuracy: {right / len(t_test):.2%} ({right:,} of {len(t_test):,} images)")
    weights = args.out / "weights.npz"
    digits.save(weights, net, settings)
    print(f"wrote {weights}")
    if args.plot:
        pictures.save(history.plot(), args.out / "curves.png")
        title = f"{right:,} of {len(t_test):,} test images are right"
        pictures.digit_grid(args.out / "digits.png", x_test, predicted, t_test, title)
    return 0 if trainer.unfinished is None else 130  # as a shell calls a program after Ctrl-C


if __name__ == "__main__":
    raise SystemExit(main())
