"""What training has recorded."""

from __future__ import annotations


class History:
    """The losses, metrics and times of a training.

    Attributes
    ----------
    step_losses : list of float
        The loss of each step's batch, before the step.
    epochs : list of dict
        For each epoch its number ``epoch``, from 1; ``step``, the steps done by its end; ``loss``
        over the epoch's batches; ``seconds``; and where there are validation data
        ``validation_loss`` and a ``validation_`` for each metric.

    Examples
    --------
    ``history["validation_accuracy"]`` is the list of that column.
    """

    def __init__(self) -> None:
        self.step_losses: list[float] = []
        self.epochs: list[dict[str, float]] = []

    def __getitem__(self, name: str) -> list[float]:
        """Return one column of the epochs."""
        names = self.names
        if name not in names:
            raise KeyError(f"the history has no {name!r}, it has {names}")
        return [row[name] for row in self.epochs if name in row]

    @property
    def names(self) -> list[str]:
        """The names of the columns, in the order in which they first appeared."""
        return list(dict.fromkeys(name for row in self.epochs for name in row))
