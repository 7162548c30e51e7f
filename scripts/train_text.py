"""Train a small GPT or LSTM on the characters of a text, and let it write after each epoch.

The text is Python's own language reference, or any UTF-8 file; its last tenth is held out.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import arguments
import training
from chainrule.datasets import Characters, crops, language_reference
from chainrule.layers import CrossEntropyLoss
from chainrule.networks import (
    Adam,
    Sequential,
    Trainer,
    recurrent_net,
    transformer_net,
)
from endings import exit_code, one_line


def build(
    model: str, vocab: int, length: int, size: int, depth: int, rng: np.random.Generator
) -> Sequential:
    """Return a net from characters (N, T) to logits (N, T, vocab)."""
    if model == "gpt":
        return transformer_net(vocab, length, size, 4, depth, rng)
    return recurrent_net(vocab, size, size, rng, depth=depth)


def write(
    net: Sequential,
    start: NDArray[Any],
    characters: int,
    length: int,
    temperature: float,
    rng: np.random.Generator,
) -> list[int]:
    """Return the codes of `start` and of so many more, each drawn by what the net says of it."""
    codes = [int(code) for code in start]
    for _ in range(characters):
        logits = net.predict(np.array([codes[-length:]]))[0, -1].astype(np.float64)
        p = np.exp((logits - logits.max()) / temperature)
        codes.append(int(rng.choice(len(p), p=p / p.sum())))
    return codes


def options() -> argparse.ArgumentParser:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    number: dict[str, Any] = {"metavar": "N", "type": arguments.positive_int}
    positive: dict[str, Any] = {"type": arguments.positive_float}
    add("--text", type=Path, help="UTF-8 file (Python's language reference)")
    add("--model", choices=["gpt", "lstm"], default="gpt", help="(gpt)")
    add("--epochs", **number, default=10, help="(10)")
    add("--steps", **number, default=500, help="steps per epoch (500)")
    add("--batch-size", **number, default=12, help="pieces of text per step (12)")
    add("--length", **number, default=64, help="characters per piece (64)")
    add("--size", **number, default=128, help="width of the net, a multiple of 4 (128)")
    add("--depth", **number, help="blocks or layers (4 of gpt, 1 of lstm)")
    add("--lr", metavar="RATE", **positive, default=1e-3, help="learning rate of Adam (0.001)")
    add("--prompt", default="The ", help="what each sample begins with ('The ')")
    add("--characters", **number, default=300, help="characters per sample (300)")
    add("--temperature", **positive, default=0.8, help="below 1 prefers likely characters (0.8)")
    add("--out", metavar="FOLDER", type=Path, default=Path("text"), help="(text)")
    add("--resume", action="store_true", help="resume from the checkpoint in --out")
    add("--plot", action="store_true", help="draw the losses to --out")
    add("--threads", **number, default=1, help="shares of each batch, in a thread each (1)")
    add("--seed", metavar="N", type=arguments.seed, default=0, help="(0)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Train, print the validation loss per character, and write a sample after each epoch."""
    parser = options()
    args = parser.parse_args(argv)
    if args.plot:
        import pictures
    if args.model == "gpt" and args.size % 4:
        parser.error("--size must be a multiple of 4, the number of heads")
    if not args.prompt:
        parser.error("--prompt must hold at least one character")
    with one_line("--out", OSError):
        args.out.mkdir(parents=True, exist_ok=True)
    with one_line(f"--text {args.text}", OSError, ValueError):  # not UTF-8, or empty
        text = args.text.read_text("utf-8") if args.text else language_reference()
        letters = Characters(text)
    with one_line("--prompt", ValueError):
        prompt = letters.encode(args.prompt)
    codes, held_out = np.split(letters.encode(text), [-(-9 * len(text) // 10)])
    if args.length >= len(held_out):
        raise SystemExit(
            f"--length: {args.length}, but the tenth of the text that is held out has "
            f"{len(held_out)} characters, expected more"
        )
    validation = crops(held_out, 100, args.length, np.random.default_rng(0))

    rng = np.random.default_rng(args.seed)
    depth = args.depth or (4 if args.model == "gpt" else 1)
    net = build(args.model, len(letters), args.length, args.size, depth, rng)
    trained = training.in_threads(net, args.threads)
    parts = trained, CrossEntropyLoss(), Adam(lr=args.lr), rng
    checkpoint = args.out / "checkpoint.npz"
    trainer = training.new_trainer(args.resume, checkpoint, *parts, max_norm=1.0)
    parameters = sum(param.size for param in net.params)
    print(f"{args.model}: {parameters:,} parameters; {len(codes):,} characters to train on")

    samples = args.out / "samples.txt"

    def new_pieces(x: NDArray[Any], t: NDArray[Any], rng: np.random.Generator) -> Any:
        return crops(codes, len(t), args.length, rng)

    def report(trainer: Trainer) -> None:
        epoch, loss = len(trainer.history.epochs), trainer.history["validation_loss"][-1]
        drawing = np.random.default_rng([args.seed, epoch])  # the same after --resume
        drawn = write(net, prompt, args.characters, args.length, args.temperature, drawing)
        title = f"epoch {epoch}: validation loss {loss:.3f} per character"
        print(f"{title}\n{letters.decode(drawn)}\n")
        with samples.open("a", encoding="utf-8") as file:
            file.write(f"{title}\n{letters.decode(drawn)}\n\n")

    rows = np.zeros(args.steps * args.batch_size)  # new_pieces draws what takes their place
    training.fit(
        trainer,
        rows,
        rows,
        epochs=args.epochs,
        batch_size=args.batch_size,
        transform=new_pieces,
        validation=validation,
        after_epoch=report,
        checkpoint=checkpoint,
    )
    if trainer.unfinished is not None:
        return training.end(trainer, checkpoint)
    if args.plot:
        pictures.save(trainer.history.plot(), args.out / "curves.png")
    net.save(args.out / "weights.npz")
    print(f"wrote {samples}, {args.out / 'weights.npz'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
