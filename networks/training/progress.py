"""The progress of a training: a bar in a terminal if tqdm is installed, else plain lines."""

from __future__ import annotations

import sys
from typing import Any


class Progress:
    """Writes to stderr if `enabled`: a bar of `total` steps, if known, called `unit`, or lines."""

    def __init__(self, enabled: bool, total: int | None, unit: str) -> None:
        self.enabled = enabled and sys.stderr is not None
        self._bar: Any = None
        if self.enabled and sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ImportError:
                return
            self._bar = tqdm(total=total, unit=unit, leave=False, file=sys.stderr)

    def step(self) -> None:
        """Note that a step is done."""
        if self._bar is not None:
            self._bar.update()

    def line(self, text: str) -> None:
        """Write a line."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        elif self.enabled:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()


def epoch_line(row: dict[str, float], epoch: int, epochs: int) -> str:
    """Return an epoch's row of a `History` as a line."""
    numbers = [f"{name} {row[name]:.4g}" for name in row if name not in ("epoch", "step")]
    return f"epoch {epoch} of {epochs}: {', '.join(numbers)}"
