"""What the training scripts share: a Trainer, new or from its checkpoint, its fit, and its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chainrule.layers import Layer
from chainrule.networks import DataParallel, History, Sequential, Trainer
from endings import INTERRUPTED, one_line


def in_threads(net: Sequential, threads: int) -> Layer:
    """Return what trains the net: itself, or its shares in threads."""
    with one_line("--threads", ImportError):
        return DataParallel(net, threads) if threads > 1 else net


def new_trainer(resume: bool, checkpoint: Path, *args: Any, **options: Any) -> Trainer:
    """Return a new Trainer, or the one that the checkpoint holds."""
    if not resume:
        return Trainer(*args, **options)
    with one_line("--resume", OSError, ValueError):
        return Trainer.resume(checkpoint, *args, **options)


def fit(trainer: Trainer, x: Any, t: Any, *, batch_size: int, **options: Any) -> History:
    """Train; what cannot be trained ends the script with one line."""
    run = trainer.unfinished
    if run and (run.samples, run.batch_size) != (len(x), batch_size):
        raise SystemExit(
            f"--resume: {len(x)} samples in batches of {batch_size}, but {run.samples} in batches "
            f"of {run.batch_size} before; give the same options again, or leave out --resume"
        )
    with (
        one_line("training failed, perhaps --lr is too high", FloatingPointError),
        one_line("cannot train", OSError, ValueError),
    ):
        return trainer.fit(x, t, batch_size=batch_size, **options)


def end(trainer: Trainer, checkpoint: Path) -> int:
    """Return the exit code after a fit; if Ctrl-C ended it, say how to resume."""
    if trainer.unfinished is None:
        return 0
    print(f"interrupted; the same command with --resume continues from {checkpoint}")
    return INTERRUPTED
