"""History: the losses, metrics and times of a training."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from os import PathLike
from typing import TYPE_CHECKING

from .figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class History:
    """The losses, metrics and times of a training; ``history["loss"]`` is one column of it.

    Attributes
    ----------
    step_losses : list of float
        The loss of each step's batch, before the step.
    epochs : list of dict
        For each epoch its number ``epoch``, from 1; ``step``, the steps done by its end; ``loss``
        over the epoch's batches, with a `SumLoss` also ``loss_0``, ``loss_1``, ... of its parts;
        for each validation set ``<set>_loss`` and a ``<set>_<metric>``, where ``validation`` is the
        only set's name by default; and ``seconds``, validation included.
    """

    def __init__(self) -> None:
        self.step_losses: list[float] = []
        self.epochs: list[dict[str, float]] = []

    @property
    def names(self) -> list[str]:
        """The names of the columns, in the order in which they first appeared."""
        return list(dict.fromkeys(name for row in self.epochs for name in row))

    def __getitem__(self, name: str) -> list[float]:
        """Return one column, a number for each epoch; NaN where an epoch has none.

        Raises
        ------
        KeyError
            If no epoch has it.
        """
        if name not in (names := self.names):
            raise KeyError(f"the history has no {name!r}, it has {names}")
        return [row.get(name, math.nan) for row in self.epochs]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def keys(self) -> list[str]:
        """Return `names`, for ``dict(history)``.

        Returns
        -------
        list of str
            The names of the columns.
        """
        return self.names

    def __repr__(self) -> str:
        steps, epochs = len(self.step_losses), len(self.epochs)
        return f"History({steps} steps, {epochs} epochs of {', '.join(self.names) or 'nothing'})"

    def to_csv(self, path: str | PathLike[str], *, steps: bool = False) -> None:
        """Write one line per epoch, or with `steps` one per step.

        A cell is empty if the number is missing or NaN.

        Parameters
        ----------
        path : path
            Name of the file, which is overwritten.
        steps : bool, default False
            Write each step's number, from 1, and its loss.
        """
        import csv

        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if steps:
                writer.writerow(["step", "loss"])
                writer.writerows(enumerate(self.step_losses, 1))
            else:
                writer.writerow(self.names)
                columns = [["" if v != v else v for v in self[name]] for name in self.names]
                writer.writerows(zip(*columns, strict=True))

    def plot(self) -> Figure:
        """Draw the losses, and beside them their parts and the metrics, if any, over the steps.

        Returns
        -------
        matplotlib Figure
            Jupyter shows it; save it with ``figure.savefig(path)``. It is not registered with
            pyplot and need not be closed.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        lines = [n for n in self.names if n not in ("epoch", "step", "seconds")]
        losses = [n for n in lines if n == "loss" or n.endswith("_loss")]
        parts = [n for n in lines if re.search(r"(^|_)loss_\d+$", n)]
        metrics = [n for n in lines if n not in losses + parts]
        panels = [("loss", losses)]
        if parts:
            panels.append(("part of the loss", parts))
        if metrics:
            single = metrics[0].removeprefix("validation_").replace("_", " ")
            panels.append((single if len(metrics) == 1 else "metric", metrics))
        figure = new_figure("History.plot", 5 * len(panels), 3.5)
        grid = figure.subplots(1, len(panels), squeeze=False)[0]
        steps = range(1, len(self.step_losses) + 1)
        grid[0].plot(steps, self.step_losses, color="0.8", linewidth=0.8, label="loss of each step")
        if min(self.step_losses, default=0) > 0:
            grid[0].set_yscale("log")
        for axes, (title, names) in zip(grid, panels, strict=True):
            for name in names:
                label = "training loss" if name == "loss" else name.replace("_", " ")
                axes.plot(self["step"], self[name], marker=".", label=label)
            axes.set(xlabel="step", ylabel=title)
            axes.legend()
        return figure
