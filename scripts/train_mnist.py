"""Train a net to read handwritten digits, test it and save its weights.

The 5,000 digits that come with the package take a few seconds. The two-layer net has a hidden layer
and is trained by cross entropy. The one-layer net is a sigmoid of weighted sums and is trained by
the mean squared error; its weights start so large that the sigmoid is flat, and on those few digits
it needs --epochs 100. The conv and deep nets take images (N, 1, 28, 28). With --patience a tenth of
the training images, always the same, is held out to select the weights; the test images are not
used for that.

Written to --out are weights.npz and weights.json, from which predict_mnist.py rebuilds the net,
checkpoint.npz for --resume, and with --plot curves.png and digits.png; with --onnx FILE the net is
exported, and predict_mnist.py FILE runs it without this library. Ctrl-C ends the training after
the current step; the net is then tested and saved, and the exit code is 130. Convolutional nets
train in as many threads as there are cores; any net trains on several processes or machines by
  OPENBLAS_NUM_THREADS=1 mpiexec -n 2 python -m mpi4py scripts/train_mnist.py --mpi

The textbook's first net, on the whole of MNIST:
  train_mnist.py --data full --activation sigmoid --hidden 50 --optimizer sgd --batch-size 100
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import arguments
import devices
import digits
import training
import training_options
from chainrule.datasets import one_hot
from chainrule.layers import CrossEntropyLoss, Layer, MSELoss
from chainrule.networks import accuracy
from endings import check_file, exit_code, one_line

SPLIT_SEED = 2015  # not --seed: with another at --resume, held-out images would be trained on


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
    hidden = parser.add_argument_group(
        "the two-layer net's hidden layer", argument_default=argparse.SUPPRESS
    )
    add = hidden.add_argument
    add("--activation", choices=digits.ACTIVATIONS, help="(relu)")
    add("--hidden", metavar="N", type=arguments.positive_int, help="its width (100)")
    training_options.add_to(parser)
    output = parser.add_argument_group("output")
    add = output.add_argument
    add("--out", metavar="DIR", type=Path, default=Path("out"), help="for what is written (out)")
    add("--plot", action="store_true", help="draw the curves and a grid of test digits, as PNG")
    add("--onnx", metavar="FILE", type=Path, help="write the net as an ONNX model too")
    args = parser.parse_args(argv)
    args.hidden_layer = {key: vars(args)[key] for key in ("activation", "hidden") if key in args}
    for key in args.hidden_layer:
        if args.model != "two-layer":
            parser.error(f"--{key} is for the two-layer net, but --model is {args.model}")
    return args


def main(argv: list[str] | None = None) -> int:
    """Train, test, save and draw."""
    args = parse(argv)
    if args.plot:
        import pictures
    if args.onnx:
        import onnx_digits
    with one_line("--out", OSError):
        args.out.mkdir(parents=True, exist_ok=True)
    if args.onnx:
        with one_line("--onnx", OSError):
            check_file(args.onnx)
    (x, t), (x_test, t_test) = digits.load(args.data)

    settings = digits.Settings(args.model, args.data, args.seed, **args.hidden_layer)
    net, rng = settings.build()
    if args.device == "gpu":
        net.map_arrays(devices.cupy().asarray)
    x, x_test = settings.inputs(x), settings.inputs(x_test)
    loss: Layer = CrossEntropyLoss()
    targets, test_targets = t, t_test
    if args.model == "one-layer":
        loss, targets, test_targets = MSELoss(), one_hot(t, 10), one_hot(t_test, 10)
    validation, parts = {"test": (x_test, test_targets)}, f"{len(x):,} images to train on"
    if args.patience is not None:  # a choice by the test images would flatter their accuracy
        order = np.random.default_rng(SPLIT_SEED).permutation(len(x))
        kept, held_out = np.split(order, [-(-9 * len(x) // 10)])
        validation = {"validation": (x[held_out], targets[held_out])}
        x, targets = x[kept], targets[kept]
        parts = f"{len(x):,} images to train on, {len(held_out):,} held out"
    optimizer = training_options.optimizer(args)
    options = training_options.trainer_options(args, optimizer.lr, len(x))
    checkpoint = args.out / "checkpoint.npz"
    trained = training_options.in_threads(net, args)
    trainer = training.new_trainer(
        args.resume, checkpoint, trained, loss, optimizer, rng, **options
    )
    if trainer.ranks.rank == 0:
        print(f"{args.model} net, {parts} and {len(t_test):,} to test on")

    history = training.fit(
        trainer,
        x,
        targets,
        epochs=args.epochs,
        batch_size=args.batch_size,
        validation=validation,
        metrics=[accuracy],
        transform=training_options.shifted if args.augment else None,
        patience=args.patience,
        checkpoint=checkpoint,
    )

    if trainer.ranks.rank:
        return 0
    if args.device == "gpu":
        net.map_arrays(devices.cupy().asnumpy)
    predicted = trainer.predict(x_test).argmax(axis=1)
    right = np.count_nonzero(predicted == t_test)
    print(f"test accuracy: {right / len(t_test):.2%} ({right:,} of {len(t_test):,} images)")
    weights = args.out / "weights.npz"
    digits.save(weights, net, settings)
    for file in (weights, weights.with_suffix(".json"), checkpoint):
        print(f"wrote {file}")
    if args.onnx:
        onnx_digits.save(args.onnx, net, x_test[:1], settings.data)
    if args.plot:
        pictures.save(history.plot(), args.out / "curves.png")
        title = f"{right:,} of {len(t_test):,} test images are right"
        pictures.digit_grid(args.out / "digits.png", x_test, predicted, t_test, title)
    return training.end(trainer, checkpoint)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
