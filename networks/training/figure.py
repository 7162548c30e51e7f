"""Figures that show themselves in Jupyter, without pyplot and without a magic command."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(caller: str, width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, not registered with pyplot."""
    try:  # here, since it is slow
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f"{caller} needs matplotlib: pip install matplotlib") from error

    class ShownFigure(Figure):
        """A figure that Jupyter shows."""

        def _repr_png_(self) -> bytes:
            buffer = BytesIO()
            self.savefig(buffer, format="png")
            return buffer.getvalue()

    return ShownFigure(figsize=(width, height), layout="constrained")
