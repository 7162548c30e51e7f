"""The options of train_mnist.py for the training, and the objects they select."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

import arguments
import training
from chainrule.datasets import shift
from chainrule.layers import Layer
from chainrule.networks import (
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    Optimizer,
    RMSProp,
    Sequential,
    schedules,
)
from chainrule.networks.protocols import Schedule

OPTIMIZERS: dict[str, tuple[Callable[..., Optimizer], float]] = {
    "adam": (Adam, 0.003),
    "adamw": (AdamW, 0.003),
    "rmsprop": (RMSProp, 0.001),
    "adagrad": (AdaGrad, 0.02),
    "sgd": (SGD, 0.1),
    "momentum": (partial(SGD, momentum=0.9), 0.02),
    "nesterov": (partial(SGD, momentum=0.9, nesterov=True), 0.02),
}
SCHEDULES: dict[str, Callable[[float, int], Schedule]] = {
    "constant": lambda lr, steps: schedules.constant(lr),
    "step": lambda lr, steps: schedules.step_decay(lr, every=-(-steps // 3)),
    "exponential": lambda lr, steps: schedules.exponential(lr, 0.01, every=steps),
    "cosine": schedules.cosine,
    "warm-up": lambda lr, steps: schedules.warm_up(schedules.cosine(lr, steps), -(-steps // 10)),
}


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the options to `parser`."""
    add = parser.add_argument_group("training").add_argument
    number: dict[str, Any] = {"metavar": "N", "type": arguments.positive_int}
    positive: dict[str, Any] = {"type": arguments.positive_float}
    add("--epochs", **number, default=16, help="times through the data (16)")
    add("--batch-size", **number, default=50, help="digits per step (50)")
    add("--optimizer", choices=OPTIMIZERS, default="adam", help="(adam)")
    rates = ", ".join(f"{rate} for {name}" for name, (_, rate) in OPTIMIZERS.items())
    add("--lr", metavar="RATE", **positive, help=f"learning rate ({rates})")
    add(
        "--schedule",
        choices=SCHEDULES,
        default="constant",
        help="how the learning rate falls over the epochs: not at all, to a tenth twice, evenly "
        "to a hundredth, along a cosine to 0, or so after rising for a tenth of them (constant)",
    )
    add(
        "--weight-decay",
        metavar="W",
        type=arguments.nonnegative_float,
        help="weight decay coefficient",
    )
    add("--clip", metavar="NORM", **positive, help="maximum norm of the gradients")
    add("--augment", action="store_true", help="shift each digit by up to 2 pixels, at random")
    add(
        "--patience",
        **number,
        help="stop after N epochs without progress and keep the best weights, by the loss on a "
        "tenth of the training images, which is held out",
    )
    add(
        "--threads",
        **number,
        help="shares of each batch, in a thread each (conv and deep: one per core; else 1)",
    )
    add("--mpi", action="store_true", help="train on all ranks: mpiexec -n 2 python -m mpi4py ...")
    add("--device", choices=("cpu", "gpu"), default="cpu", help="a gpu needs CuPy (cpu)")
    add("--resume", action="store_true", help="resume from the checkpoint in --out")
    add("--seed", metavar="N", type=arguments.seed, default=0, help="for weights and order (0)")


def optimizer(args: argparse.Namespace) -> Optimizer:
    """Return the optimizer that the options name."""
    make, rate = OPTIMIZERS[args.optimizer]
    decay = {} if args.weight_decay is None else {"weight_decay": args.weight_decay}
    return make(lr=args.lr or rate, **decay)


def trainer_options(args: argparse.Namespace, lr: float, samples: int) -> dict[str, Any]:
    """Return the options of the Trainer."""
    steps = args.epochs * -(-samples // args.batch_size)
    schedule = SCHEDULES[args.schedule](lr, steps)
    return {"schedule": schedule, "max_norm": args.clip, "comm": communicator(args)}


def communicator(args: argparse.Namespace) -> Any:
    """Return MPI's ranks if they are to train together, else None."""
    if not args.mpi:
        return None
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise SystemExit(f"--mpi: {error}; pip install mpi4py mpich") from error
    return MPI.COMM_WORLD


def in_threads(net: Sequential, args: argparse.Namespace) -> Layer:
    """Return what trains the net: itself, or its shares in threads."""
    threads = args.threads
    if threads is None:
        alone = not args.mpi and args.device == "cpu"
        gains = alone and args.model in ("conv", "deep") and find_spec("threadpoolctl")
        threads = arguments.cores() if gains else 1
    return training.in_threads(net, threads)


def shifted(
    x: NDArray[Any], t: NDArray[Any], rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the digits, each shifted by up to 2 pixels, with their targets."""
    return shift(x.reshape(-1, 1, 28, 28), 2, rng).reshape(x.shape), t
