"""The checkpoint of a `Trainer`: all its state as named arrays, one of them JSON text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers.base import Array
from .checkpoint import read_npz, write_npz
from .history import History
from .run import Run

if TYPE_CHECKING:
    from .trainer import Trainer

_FORMAT = 1


def save_training(path: str | PathLike[str], trainer: Trainer) -> None:
    """Write the state of `trainer` to `path`."""
    run = trainer.unfinished
    text: dict[str, Any] = {
        "format": _FORMAT,
        "steps": trainer.steps,
        "generators": {n: g.bit_generator.state for n, g in _all_generators(trainer).items()},
        "columns": trainer.history.names,
        "run": run and {f: v for f, v in vars(run).items() if f != "best_weights"},
    }
    arrays = {
        "json": np.array(json.dumps(text, default=lambda array: array.tolist())),
        "step_losses": np.array(trainer.history.step_losses, np.float64),
    }
    arrays |= {f"epochs/{name}": np.array(trainer.history[name]) for name in text["columns"]}
    arrays |= _under("net", trainer.net.state_dict())
    arrays |= _under("optimizer", trainer.optimizer.state_dict())
    arrays |= _under("best", run.best_weights if run else {})
    write_npz(path, arrays)


def load_training(path: str | PathLike[str], trainer: Trainer) -> None:
    """Set `trainer` to the state in `path`.

    Raises
    ------
    ValueError
        If the file is damaged or does not fit; then nothing has changed.
    """
    arrays = read_npz(path)
    try:
        _load(arrays, trainer)
    except ValueError as error:
        error.add_note(f"in {path}")
        raise


def _load(arrays: Mapping[str, Array], trainer: Trainer) -> None:
    text = json.loads(str(arrays.get("json", "{}")))
    if text.get("format") != _FORMAT:
        raise ValueError(f"not a Trainer's checkpoint of format {_FORMAT}")
    generators = _all_generators(trainer)
    saved = text["generators"]
    ours = {name: type(g.bit_generator).__name__ for name, g in generators.items()}
    theirs = {name: state["bit_generator"] for name, state in saved.items()}
    if ours != theirs:
        raise ValueError(f"the Generators are {ours}, the checkpoint has {theirs}")

    before = trainer.net.state_dict()
    trainer.net.load_state_dict(_of("net", arrays))
    try:
        trainer.optimizer.load_state_dict(_of("optimizer", arrays))
    except ValueError:
        trainer.net.load_state_dict(before)
        raise
    for name, generator in generators.items():
        generator.bit_generator.state = saved[name]
    trainer.steps = text["steps"]
    trainer.history = History()
    trainer.history.step_losses = arrays["step_losses"].tolist()
    columns = [arrays[f"epochs/{name}"].tolist() for name in text["columns"]]
    trainer.history.epochs = [
        dict(zip(text["columns"], row, strict=True)) for row in zip(*columns, strict=True)
    ]
    trainer.unfinished = text["run"] and Run(**text["run"], best_weights=_of("best", arrays))


def _generators(value: Any, name: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Yield every Generator within layers, lists, tuples and dicts, with the way to it."""
    if isinstance(value, np.random.Generator):
        yield name, value
    elif id(value) not in seen:
        seen.add(id(value))
        below: Any = ()
        if isinstance(value, list | tuple):
            below = enumerate(value)
        elif isinstance(value, dict):
            below = value.items()
        elif hasattr(value, "forward"):
            below = getattr(value, "__dict__", {}).items()
        for key, part in below:
            yield from _generators(part, f"{name}.{key}", seen)


def _all_generators(trainer: Trainer) -> dict[str, np.random.Generator]:
    roots = {"rng": trainer.rng, "net": trainer.net, "loss": trainer.loss}
    seen: set[int] = set()
    return {n: g for name, root in roots.items() for n, g in _generators(root, name, seen)}


def _under(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


def _of(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    start = f"{prefix}/"
    return {n.removeprefix(start): array for n, array in arrays.items() if n.startswith(start)}
