"""The checkpoint of a `Trainer`: all its state as named arrays, one of them JSON text."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from ...layers.base import Array, Layer
from ...layers.matched_state import matched_state
from ...layers.tree import layers_of, own_params, state, walk
from ..files import check_writable, read_npz, short, write_npz
from ..optimizers.base import Optimizer, kind
from .fit import Run
from .history import History
from .random_state import generators_within

if TYPE_CHECKING:
    from .trainer import Trainer

_FORMAT = 3
_OLD_FORMAT = 2  # before layers declared their names


def check_can_save(path: str | PathLike[str], trainer: Trainer) -> None:
    """Raise TypeError or OSError if `save_training` would not be able to save a training."""
    for name in ("state_dict", "load_state_dict"):
        if not callable(getattr(trainer.optimizer, name, None)):
            raise TypeError(
                f"{type(trainer.optimizer).__name__} has no {name}(), which a checkpoint needs: "
                "state_dict() returns arrays by name, load_state_dict(state) resumes from them"
            )
    check_writable(path)


def save_training(path: str | PathLike[str], trainer: Trainer) -> None:
    """Write the state of `trainer`, with the Generators of every rank: see `Trainer.save`."""
    generators = generators_of(trainer)[1]
    states = trainer.ranks.gather([bits.state for bits in generators])
    trainer.ranks.first(lambda: _write(path, trainer, states))


def _write(path: str | PathLike[str], trainer: Trainer, generators: list[list[Any]]) -> None:
    """Write the state, of which each rank has its own Generators."""
    import json

    check_can_save(path, trainer)
    run = trainer.unfinished
    text = {
        "format": _FORMAT,
        "steps": trainer.steps,
        "losses": len(trainer.history.step_losses),
        "places": generators_of(trainer)[0],
        "generators": generators[0],
        "ranks": generators[1:],
        "epochs": trainer.history.epochs,
        "run": run and _without_arrays(run),
        "frozen": [p for p, layer in walk(trainer.net) if getattr(layer, "frozen", False)],
    }
    write_npz(
        path,
        {
            "json": np.array(json.dumps(text, default=lambda array: array.tolist())),
            "step_losses": np.array(trainer.history.step_losses, np.float64),
            **_under("net", trainer.net.state_dict()),
            **_under("loss", Layer.state_dict(trainer.loss)),
            **_under("optimizer", trainer.optimizer.state_dict(*_named_params(trainer))),
            **_under("best", run.best_weights if run else {}),
        },
    )


def load_training(path: str | PathLike[str], trainer: Trainer) -> None:
    """Set `trainer` to the state in `path`: see `Trainer.resume`."""
    arrays = trainer.ranks.first(lambda: read_npz(path))
    try:
        saved = _Saved(arrays)
        saved.check_fits(trainer)
    except KeyError as error:
        raise ValueError(f"{short(str(path), 160)} has no {short(str(error), 80)}") from error
    except Exception as error:  # a damaged file can fail in any way
        what = short(str(error) or type(error).__name__, 300)
        raise ValueError(f"{short(str(path), 160)}: {what}") from error
    saved.give_to(trainer)


class _Saved:
    """What a checkpoint holds, each part of the right type."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        import json

        text = json.loads(str(arrays.get("json", "{}")))
        if not isinstance(text, dict) or text.get("format") not in (_OLD_FORMAT, _FORMAT):
            raise ValueError(f"not a Trainer's checkpoint of format {_FORMAT}")
        if text["format"] == _OLD_FORMAT:
            text = _from_old(text)
        self.frozen = text["frozen"]
        if not (isinstance(self.frozen, list) and all(isinstance(p, str) for p in self.frozen)):
            raise ValueError(f"frozen is {self.frozen!r:.80}, expected a list of places")
        self.net, self.loss = _of("net", arrays), _of("loss", arrays)
        self.optimizer = _of("optimizer", arrays)
        # Files written before named the attribute that holds a net's layers.
        places = {name.replace(".layers.", "."): kind for name, kind in text["places"].items()}
        self.places, self.generators = places, [text["generators"], *text.get("ranks", ())]
        self.steps = text["steps"]
        if type(self.steps) is not int or not 0 <= self.steps < 2**63:
            raise ValueError(f"steps is {self.steps!r:.60}, expected an integer from 0 to 2^63 - 1")
        expected = f"float64[{text.get('losses', arrays['step_losses'].size)}]"
        if (came := kind(arrays["step_losses"])) != expected:
            raise ValueError(f"step_losses is {came}, expected {expected}")
        losses, rows = arrays["step_losses"].tolist(), text["epochs"]
        numbers = [*losses, *(number for row in rows for number in row.values())]
        if not isinstance(rows, list) or not all(isinstance(n, int | float) for n in numbers):
            raise ValueError("the history holds values that are not numbers")
        self.history = History()
        self.history.step_losses, self.history.epochs = losses, rows
        self.run = None
        if text["run"] is not None:
            self.run = Run(**text["run"], best_weights=_of("best", arrays))
            if _without_arrays(self.run).keys() != text["run"].keys():
                raise ValueError(f"a run has {list(text['run'])}")
            self.run.check()

    def check_fits(self, trainer: Trainer) -> None:
        """Raise if `trainer` is constructed differently; it stays as it is."""
        net = trainer.net.state_dict()
        _check_same("parameters or buffers", self.net, net)
        matched_state(trainer.net, self.net)
        _check_same("buffers of the loss", self.loss, Layer.state_dict(trainer.loss))
        matched_state(trainer.loss, self.loss)
        if self.run and self.run.best_weights:
            _check_same("best weights", self.run.best_weights, net)
            matched_state(trainer.net, self.run.best_weights)
        if unknown := sorted(set(self.frozen) - {place for place, _ in walk(trainer.net)}):
            raise ValueError(f"frozen are {unknown}, which the net does not have")
        copied = copy.copy if isinstance(trainer.optimizer, Optimizer) else copy.deepcopy
        copied(trainer.optimizer).load_state_dict(self.optimizer, *_named_params(trainer))
        places, generators = generators_of(trainer)
        if places != self.places:
            raise ValueError(f"the Generators are {places}, the checkpoint has {self.places}")
        states = [pair for rank in self.generators for pair in zip(generators, rank, strict=True)]
        if self.run:
            drawn = (self.run.order_state, self.run.split_state)
            states += [(trainer.rng.bit_generator, s) for s in drawn if s is not None]
        for generator, saved in states:
            copy.deepcopy(generator).state = saved

    def give_to(self, trainer: Trainer) -> None:
        """Change `trainer`; after `check_fits` nothing here can fail."""
        trainer.optimizer.load_state_dict(self.optimizer, *_named_params(trainer))
        trainer.net.load_state_dict(self.net)
        Layer.load_state_dict(trainer.loss, self.loss)
        for place, layer in walk(trainer.net):
            if (place in self.frozen) != getattr(layer, "frozen", False):
                layer.frozen = place in self.frozen
                layer.training = not layer.frozen
        generators, ranks = generators_of(trainer)[1], trainer.ranks
        same = len(self.generators) == ranks.size
        for bits, saved in zip(generators, self.generators[ranks.rank if same else 0], strict=True):
            bits.state = saved
        if not same:
            ranks.separate(generators)
            trainer.warn_once(
                f"Trainer.resume: the checkpoint is of {len(self.generators)} ranks, these are "
                f"{ranks.size}: random layers and transforms will draw other numbers"
            )
        trainer.steps, trainer.history, trainer.unfinished = self.steps, self.history, self.run


def _named_params(trainer: Trainer) -> tuple[dict[str, Array], ...]:
    """Return what an `Optimizer` names its state by, and another does not take.

    It is the net's parameters by their state names, frozen ones too, a shared one once.
    """
    if not isinstance(trainer.optimizer, Optimizer):
        return ()
    owned = {id(param) for layer in layers_of(trainer.net) for param in own_params(layer)}
    found: dict[int, tuple[str, Array]] = {}
    for name, array in state(trainer.net).items():
        if id(array) in owned:
            found.setdefault(id(array), (name, array))
    return (dict(found.values()),)


def _from_old(text: dict[str, Any]) -> dict[str, Any]:
    """Convert the text of an older file to the present format.

    The loss of an unfinished epoch's batches is not in it: that epoch's loss is of the others.
    """
    run = text["run"]
    if run is not None:
        run = dict(run)
        if not (isinstance(run.pop("loss"), float) and isinstance(run.pop("rows"), int)):
            raise ValueError("a run's loss and rows are not numbers")
        new = vars(Run(None, None, True))
        added = ("drop_last", "share", "sums", "split_state", "stopped")
        run = run | {"best_value": run.pop("best_loss")} | {name: new[name] for name in added}
    return text | {"run": run, "frozen": []}


def generators_of(trainer: Trainer) -> tuple[dict[str, list[Any]], list[np.random.BitGenerator]]:
    """Return the kind and number of the Generator at each place, and the numbered ones."""
    roots = ("rng", "net", "loss", "optimizer", "schedule", "penalty")
    found = generators_within({name: getattr(trainer, name) for name in roots})
    numbered = list({id(bits): bits for bits in found.values()}.values())
    numbers = {id(bits): k for k, bits in enumerate(numbered)}
    places = {place: [type(b).__name__, numbers[id(b)]] for place, b in found.items()}
    return places, numbered


def _without_arrays(run: Run) -> dict[str, Any]:
    return {name: value for name, value in vars(run).items() if name != "best_weights"}


def _check_same(what: str, came: Mapping[str, Array], mine: Mapping[str, Array]) -> None:
    theirs, ours = ({(n, kind(a)) for n, a in arrays.items()} for arrays in (came, mine))
    if theirs != ours:
        raise ValueError(
            f"the checkpoint has other {what}: {sorted(theirs - ours)}, "
            f"expected {sorted(ours - theirs)}"
        )


def _under(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


def _of(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    start = f"{prefix}/"
    return {n.removeprefix(start): array for n, array in arrays.items() if n.startswith(start)}
