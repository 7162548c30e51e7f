"""Train a variational autoencoder of the digits, and draw what it has learned.

It is trained to raise the evidence lower bound: the expected log likelihood of each image, each
pixel the probability of ink, less the divergence of its latent variable z from N(0, 1). With
--plot it draws reconstructions of test digits, samples of new ones and, as z has two dimensions,
the plane of z: where the test digits lie, and which digit each point stands for.

The loss is that bound's negative per image; loss_0 is its first part per pixel, loss_1 the
divergence.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import arguments
import digits
import training
from chainrule.layers import BinaryCrossEntropyLoss, MAELoss, Sigmoid, SumLoss
from chainrule.networks import Adam, Sequential, Trainer, variational_autoencoder
from endings import exit_code, one_line


def new_loss(pixels: int) -> SumLoss:
    """Return the negative evidence lower bound, in nats per image."""
    return SumLoss(BinaryCrossEntropyLoss(), MAELoss(), weights=(pixels, 1))


def targets(x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return what the two outputs should be: the image itself, and a KL term of 0."""
    return x, np.zeros(len(x), x.dtype)


def lower_bound(net: Sequential, x: NDArray[Any]) -> float:
    """Return the evidence lower bound of the images, with one z drawn for each."""
    net = copy.deepcopy(net)  # so that the Generator of the training draws nothing here
    net.train()  # in evaluation z would be its mean
    return -new_loss(x.shape[1]).forward(net.forward(x), targets(x))


def draw(net: Sequential, x: NDArray[Any], t: NDArray[Any], folder: Path, seed: int) -> None:
    """Draw reconstructions, samples and, in two dimensions, the plane of z."""
    from scipy.special import ndtri

    import pictures

    encoder, decoder = net[0], Sequential(net[2][0][1], Sigmoid())
    shown = x[:20]
    rebuilt = decoder.predict(encoder.predict(shown)[0])
    grid = np.stack([shown.reshape(2, 10, 28, 28), rebuilt.reshape(2, 10, 28, 28)], axis=1)
    title = "test digits, and below each its reconstruction"
    pictures.images(folder / "reconstructions.png", grid.reshape(4, 10, 28, 28), title)
    latent = net[0][3][0].b.size
    z = np.random.default_rng(seed).standard_normal((100, latent))
    new = decoder.predict(z.astype(x.dtype)).reshape(10, 10, 28, 28)
    pictures.images(folder / "samples.png", new, "samples: z drawn from N(0, 1)")
    if latent == 2:
        steps = ndtri(np.linspace(0.025, 0.975, 20))  # equally probable under N(0, 1)
        plane = np.stack(np.meshgrid(steps, steps[::-1]), axis=-1).reshape(-1, 2)
        decoded = decoder.predict(plane.astype(x.dtype)).reshape(20, 20, 28, 28)
        pictures.latent_plane(folder / "plane.png", encoder.predict(x)[0], t, decoded)


def options() -> argparse.ArgumentParser:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    number: dict[str, Any] = {"metavar": "N", "type": arguments.positive_int}
    add(
        "--data",
        metavar="sample|full|fashion|DIR",
        type=digits.source,
        default="sample",
        help="the digits of the package, all of MNIST, Fashion-MNIST, or a folder's files (sample)",
    )
    add("--latent", **number, default=2, help="dimensions of z (2)")
    add("--hidden", **number, default=400, help="units of the hidden layers (400)")
    add("--epochs", **number, default=30, help="times through the data (30)")
    add("--batch-size", **number, default=100, help="digits per step (100)")
    rate: dict[str, Any] = {"metavar": "RATE", "type": arguments.positive_float}
    add("--lr", **rate, default=3e-3, help="learning rate of Adam (0.003)")
    add("--out", metavar="DIR", type=Path, default=Path("vae"), help="for what is written (vae)")
    add("--resume", action="store_true", help="resume from the checkpoint in --out")
    add("--plot", action="store_true", help="draw the pictures to --out, as PNG")
    add("--seed", metavar="N", type=arguments.seed, default=0, help="(0)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Train, print the bound on the test images after each epoch, save and draw."""
    args = options().parse_args(argv)
    if args.plot:
        import pictures
    with one_line("--out", OSError):
        args.out.mkdir(parents=True, exist_ok=True)
    (x, _), (x_test, t_test) = digits.load(args.data)
    rng = np.random.default_rng(args.seed)
    net = variational_autoencoder(x.shape[1], args.hidden, args.latent, rng)
    loss, optimizer = new_loss(x.shape[1]), Adam(lr=args.lr)
    checkpoint = args.out / "checkpoint.npz"
    trainer = training.new_trainer(args.resume, checkpoint, net, loss, optimizer, rng)

    def report(trainer: Trainer) -> None:
        epochs, bound = len(trainer.history.epochs), lower_bound(net, x_test)
        train = -trainer.history["loss"][-1]
        print(f"epoch {epochs}: bound {train:.2f} nats per image, {bound:.2f} on test images")

    history = training.fit(
        trainer,
        x,
        targets(x),
        epochs=args.epochs,
        batch_size=args.batch_size,
        after_epoch=report,
        checkpoint=checkpoint,
    )
    net.save(args.out / "weights.npz")
    print(f"wrote {args.out / 'weights.npz'} and {checkpoint}")
    if args.plot:
        pictures.save(history.plot(), args.out / "curves.png")
        draw(net, x_test, t_test, args.out, args.seed)
    return training.end(trainer, checkpoint)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
