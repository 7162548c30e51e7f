"""Train an encoder and a decoder with attention to add: "57+5" becomes "62".

Prints examples as it learns, and the fraction of unseen sums that are correct in every digit.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import arguments
from chainrule.datasets import Characters, additions
from chainrule.layers import (
    GRU,
    Affine,
    Attention,
    Concatenate,
    CrossEntropyLoss,
    Embedding,
    Layer,
)
from chainrule.networks import Adam, Trainer, schedules

INTERRUPTED = 130
LETTERS = Characters("0123456789+ ")


class Adder(Layer):
    """``y = (ds, attention(ds, hs)) @ W + b``: states of the decoder look at those of the encoder.

    Parameters
    ----------
    length : int
        S, the characters of a sum.
    hidden : int
        Numbers of each state.
    rng : numpy.random.Generator
        Draws the weights.

    Notes
    -----
    ``forward(codes)`` takes (N, S + T): the sum, and the answer moved on by one place, as `moved`
    joins them. It returns the logits (N, T, V) of the answer.
    """

    part_names = ("words", "encoder", "answers", "decoder", "attention", "join", "output")

    def __init__(self, length: int, hidden: int, rng: np.random.Generator) -> None:
        self.length, V = length, len(LETTERS)
        self.words = Embedding.random(V, 32, rng, std=1.0)
        self.encoder = GRU.random(32, hidden, rng, return_state=True)
        self.answers = Embedding.random(V, 32, rng, std=1.0)
        self.decoder = GRU.random(32, hidden, rng)
        self.attention, self.join = Attention(), Concatenate()
        self.output = Affine.random(2 * hidden, V, rng)

    def forward(self, codes: Any) -> Any:
        question, before = codes[:, : self.length], codes[:, self.length :]
        hs, h = self.encoder.forward(self.words.forward(question))
        ds = self.decoder.forward(self.answers.forward(before), h)
        seen = self.attention.forward(ds, hs, hs)
        return self.output.forward(self.join.forward(ds, seen))

    def backward(self, dout: Any) -> None:
        dds, dseen = self.join.backward(self.output.backward(dout))
        dqueries, dkeys, dvalues = self.attention.backward(dseen)
        dx, dh = self.decoder.backward(dds + dqueries)
        self.answers.backward(dx)
        self.words.backward(self.encoder.backward((dkeys + dvalues, dh)))


def moved(sums: NDArray[Any], answers: NDArray[Any]) -> NDArray[Any]:
    """Return sums (N, S) and what the decoder sees: each answer one place later, after a "+"."""
    start = np.full_like(answers[:, :1], LETTERS.encode("+"))
    return np.concatenate([sums, start, answers[:, :-1]], axis=1)


def solve(net: Adder, sums: NDArray[Any], length: int) -> NDArray[Any]:
    """Return the answers (N, T), each character the likeliest after those before it."""
    answers = np.zeros((len(sums), length), np.intp)
    for t in range(length):
        logits = net.predict(moved(sums, answers[:, : t + 1]))
        answers[:, t] = logits[:, t].argmax(axis=-1)
    return answers


def draw_attention(path: Path, net: Adder, sums: str, answer: str) -> None:
    """Draw which characters of the sum each character of the answer looked at."""
    import pictures

    net.eval()
    net.forward(moved(LETTERS.encode([sums]), LETTERS.encode([answer])))
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(net.attention.weights[0], cmap="Greys", vmin=0, vmax=1)
    axes.set_xticks(range(len(sums)), list(sums))
    axes.set_yticks(range(len(answer)), list(answer))
    axes.set(title=f"{sums.strip()} = {answer.strip()}", xlabel="sum", ylabel="answer")
    pictures.save(figure, path)


def options() -> argparse.ArgumentParser:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    number: dict[str, Any] = {"metavar": "N", "type": arguments.positive_int}
    add("--digits", **number, default=3, help="maximum number of digits of a term (3)")
    add("--sums", **number, default=50_000, help="new sums per epoch (50,000)")
    add("--epochs", **number, default=30, help="(30)")
    add("--batch-size", **number, default=128, help="sums per step (128)")
    add("--hidden", **number, default=128, help="numbers of each state (128)")
    add("--lr", type=arguments.positive_float, default=3e-3, help="learning rate of Adam (0.003)")
    add("--out", metavar="FOLDER", type=Path, default=Path("addition"), help="(addition)")
    add("--resume", action="store_true", help="resume from the checkpoint in --out")
    add("--plot", action="store_true", help="draw the losses and the attention map to --out")
    add("--seed", metavar="N", type=arguments.seed, default=0, help="(0)")
    return parser


def new_sums(
    n: int, digits: int, held_out: set[str], rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return n sums (N, S) that are not held out, and their answers (N, T)."""
    drawn = zip(*additions(n + len(held_out) + n // 2, rng, digits), strict=True)
    kept = [pair for pair in drawn if pair[0] not in held_out][:n]
    if len(kept) < n:
        raise SystemExit("--digits: too few sums are left to train on; take more digits")
    sums, answers = zip(*kept, strict=True)
    return LETTERS.encode(sums), LETTERS.encode(answers)


def main(argv: list[str] | None = None) -> int:
    """Train, and print examples and the exact sums after each epoch."""
    args = options().parse_args(argv)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemExit(f"--out: {error}") from error
    rng = np.random.default_rng(args.seed)
    test_sums, test_answers = additions(1000, np.random.default_rng(0), args.digits)
    x_test, t_test = LETTERS.encode(test_sums), LETTERS.encode(test_answers)

    net = Adder(x_test.shape[1], args.hidden, rng)
    training: tuple[Any, ...] = (net, CrossEntropyLoss(), Adam(lr=args.lr), rng)
    steps = args.epochs * -(-args.sums // args.batch_size)
    settings: dict[str, Any] = {"schedule": schedules.cosine(args.lr, steps), "max_norm": 1.0}
    checkpoint = args.out / "checkpoint.npz"
    try:
        resume = Trainer.resume
        trainer = (
            resume(checkpoint, *training, **settings)
            if args.resume
            else Trainer(*training, **settings)
        )
    except (OSError, ValueError) as error:
        raise SystemExit(f"--resume: {error}") from error
    print(f"{args.sums:,} new sums per epoch, {len(x_test):,} held out to test on")

    exact = 0.0
    for epoch in range(trainer.steps * args.epochs // steps, args.epochs):
        drawing = np.random.default_rng([args.seed, epoch])  # the same after --resume
        x, t = new_sums(args.sums, args.digits, set(test_sums), drawing)
        done = trainer.unfinished.epoch if trainer.unfinished else 0  # in a resumed fit
        trainer.fit(
            moved(x, t), t, epochs=done + 1, batch_size=args.batch_size, checkpoint=checkpoint
        )
        if trainer.unfinished is not None:
            print(f"interrupted; the same command with --resume continues from {checkpoint}")
            return INTERRUPTED
        solved = solve(net, x_test, t_test.shape[1])
        exact = float((solved == t_test).all(axis=1).mean())
        print(f"epoch {epoch + 1}: {exact:.1%} of unseen sums are exact")
        for s, answer, right in zip(test_sums[:3], solved[:3], test_answers, strict=False):
            came = LETTERS.decode(answer).strip()
            print(f"    {s.strip()} = {came}" + f" (no: {right.strip()})" * (came != right.strip()))
    if args.plot:
        import pictures

        pictures.save(trainer.history.plot(), args.out / "curves.png")
        draw_attention(args.out / "attention.png", net, test_sums[0], test_answers[0])
    print(f"exact sums: {exact:.2%} of {len(x_test):,}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
