"""Train an encoder and a decoder with attention to add: "57+5" becomes "62".

The answer is written from its last digit to the first, as one adds by hand. Prints examples as it
learns, and the fraction of unseen sums that are correct in every digit: with the defaults, more
than 98 %, after about a minute on one core of an AMD EPYC.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

import arguments
import training
from chainrule.datasets import Characters, additions
from chainrule.layers import (
    GRU,
    Affine,
    Attention,
    Concatenate,
    CrossEntropyLoss,
    Embedding,
    ReLU,
)
from chainrule.networks import Adam, FunctionStack, Graph, Trainer, schedules, two_layer_net
from endings import exit_code, one_line

LETTERS = Characters("0123456789+ ")


class Adder(Graph):
    """``y = mlp(ds, attention(ds @ W + b, hs, hs))``, with states hs of the sum, ds of the answer.

    ``forward(sums, before)`` takes codes (N, S) and (N, T): the sums, and of each answer the
    character before, as `before` gives them. It returns the logits (N, T, V) of the answers.

    Parameters
    ----------
    hidden : int
        Numbers of each state.
    rng : numpy.random.Generator
        Draws the weights.
    """

    part_names = ("words", "encoder", "digits", "decoder", "query", "attention", "join", "mlp")

    def __init__(self, hidden: int, rng: np.random.Generator) -> None:
        V, size = len(LETTERS), 16
        self.words = Embedding.random(V, size, rng, std=1.0)
        self.encoder = GRU.random(size, hidden, rng, return_state=True)
        self.digits = Embedding.random(V, size, rng, std=1.0)
        self.decoder = GRU.random(size, hidden, rng)
        self.query, self.attention = Affine.random(hidden, hidden, rng), Attention()
        self.join = Concatenate()
        self.mlp = two_layer_net(2 * hidden, hidden, V, rng, activation=ReLU)

    def connect(self, stack: FunctionStack, *inputs: Any) -> Any:
        sums, before = inputs
        hs, h = stack.push(self.encoder, stack.push(self.words, sums))
        ds = stack.push(self.decoder, stack.push(self.digits, before), h)
        seen = stack.push(self.attention, stack.push(self.query, ds), hs, hs)
        return stack.push(self.mlp, stack.push(self.join, ds, seen))


def backwards(answer: str) -> str:
    """Return the answer from its last digit to the first, padded as it was."""
    return answer.strip()[::-1].ljust(len(answer))


def before(answers: NDArray[Any]) -> NDArray[Any]:
    """Return what the decoder sees: each answer (N, T) one place later, after a "+"."""
    start = np.full_like(answers[:, :1], LETTERS.encode("+"))
    return np.concatenate([start, answers[:, :-1]], axis=1)


def solve(net: Adder, sums: NDArray[Any], length: int) -> NDArray[Any]:
    """Return the answers (N, T), each character the likeliest after those before it."""
    answers = np.zeros((len(sums), length), np.intp)
    for t in range(length):
        logits = net.predict(sums, before(answers[:, : t + 1]))
        answers[:, t] = logits[:, t].argmax(axis=-1)
    return answers


def draw_attention(path: Path, net: Adder, a_sum: NDArray[Any], answer: NDArray[Any]) -> None:
    """Draw which characters of the sum (S,) each character of the answer (T,) looked at."""
    import pictures

    net.eval()
    net.forward(a_sum[np.newaxis], before(answer[np.newaxis]))
    sums, answers = LETTERS.decode(a_sum), LETTERS.decode(answer)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(net.attention.weights[0], cmap="Greys", vmin=0, vmax=1)
    axes.set_xticks(range(len(sums)), list(sums))
    axes.set_yticks(range(len(answers)), list(answers))
    title = f"{sums.strip()} = {answers[::-1].strip()}"
    axes.set(title=title, xlabel="sum", ylabel="answer, from its last digit")
    pictures.save(figure, path)


def options() -> argparse.ArgumentParser:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    number: dict[str, Any] = {"metavar": "N", "type": arguments.positive_int}
    digits: dict[str, Any] = {"metavar": "N", "type": arguments.digits}
    add("--digits", **digits, default=3, help="maximum number of digits of a term, at most 18 (3)")
    add("--sums", **number, default=50_000, help="new sums per epoch (50,000)")
    add("--epochs", **number, default=10, help="(10)")
    add("--batch-size", **number, default=128, help="sums per step (128)")
    add("--hidden", **number, default=64, help="numbers of each state (64)")
    add(
        "--lr",
        type=arguments.positive_float,
        default=0.01,
        help="first learning rate of Adam (0.01)",
    )
    add("--out", metavar="FOLDER", type=Path, default=Path("addition"), help="(addition)")
    add("--resume", action="store_true", help="resume from the checkpoint in --out")
    add("--plot", action="store_true", help="draw the losses and the attention map to --out")
    add("--seed", metavar="N", type=arguments.seed, default=0, help="(0)")
    return parser


def draw(
    n: int, digits: int, rng: np.random.Generator, *, unseen: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return n sums (N, S) and their answers backwards (N, T).

    A tenth of all sums, chosen by a checksum, is never trained on: these, or the others.
    """
    pairs: list[tuple[str, str]] = []
    while len(pairs) < n:
        for a_sum, answer in zip(*additions(n, rng, digits), strict=True):
            if (crc32(a_sum.encode()) % 10 == 0) == unseen:
                pairs.append((a_sum, backwards(answer)))
    sums, answers = zip(*pairs[:n], strict=True)
    return LETTERS.encode(sums), LETTERS.encode(answers)


def main(argv: list[str] | None = None) -> int:
    """Train, and print examples and the exact sums after each epoch."""
    args = options().parse_args(argv)
    if args.plot:
        import pictures
    with one_line("--out", OSError):
        args.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(args.seed)
    x_test, t_test = draw(1000, args.digits, np.random.default_rng(0), unseen=True)
    net = Adder(args.hidden, rng)
    steps = args.epochs * -(-args.sums // args.batch_size)
    schedule = schedules.warm_up(schedules.cosine(args.lr, steps), 100)
    checkpoint = args.out / "checkpoint.npz"
    parts = net, CrossEntropyLoss(), Adam(lr=args.lr), rng
    trainer = training.new_trainer(args.resume, checkpoint, *parts, schedule=schedule, max_norm=1.0)
    print(f"{args.sums:,} new sums per epoch, {len(x_test):,} unseen ones to test on")

    def new_sums(x: NDArray[Any], t: NDArray[Any], rng: np.random.Generator) -> Any:
        sums, answers = draw(len(t), args.digits, rng, unseen=False)
        return (sums, before(answers)), answers

    def solved() -> tuple[NDArray[Any], float]:
        answers = solve(net, x_test, t_test.shape[1])
        return answers, float((answers == t_test).all(axis=1).mean())

    def report(trainer: Trainer) -> None:
        answers, exact = solved()
        print(f"epoch {len(trainer.history.epochs)}: {exact:.1%} of unseen sums are exact")
        for codes in zip(x_test[:3], answers, t_test, strict=False):
            a_sum, came, right = map(LETTERS.decode, codes)
            came, right = came[::-1].strip(), right[::-1].strip()
            print(f"    {a_sum.strip()} = {came}" + f" (no: {right})" * (came != right))

    rows = np.zeros(args.sums)  # new_sums draws what takes their place
    training.fit(
        trainer,
        rows,
        rows,
        epochs=args.epochs,
        batch_size=args.batch_size,
        transform=new_sums,
        after_epoch=report,
        checkpoint=checkpoint,
    )
    if trainer.unfinished is not None:
        return training.end(trainer, checkpoint)
    if args.plot:
        pictures.save(trainer.history.plot(), args.out / "curves.png")
        longest = (x_test != LETTERS.encode(" ")).sum(axis=1).argmax()
        draw_attention(args.out / "attention.png", net, x_test[longest], t_test[longest])
    print(f"exact sums: {solved()[1]:.2%} of {len(x_test):,}")
    return 0


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
