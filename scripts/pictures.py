"""The pictures that the scripts draw.

Importing this without matplotlib ends the script with a message: import it before a long training.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from endings import check_file, one_line

try:
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    raise SystemExit("pictures need matplotlib: pip install 'chainrule[plot]'") from error

WRONG = "tab:red"


def loss_curve(path: Path, losses: Sequence[float], title: str) -> None:
    """Draw the loss of each epoch, both axes logarithmic."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.loglog(range(1, len(losses) + 1), losses)
    axes.set(title=title, xlabel="epoch", ylabel="loss")
    axes.grid(alpha=0.3)
    save(figure, path)


def digit_grid(
    path: Path, images: NDArray[Any], predicted: NDArray[Any], t: NDArray[Any], title: str
) -> None:
    """Draw the first 60 images as what each was read; a wrong one is red and says what it is."""
    columns = 10
    rows = min(6, -(-len(t) // columns)) or 1
    figure = Figure(figsize=(10, 0.6 + 1.1 * rows), layout="constrained")
    figure.suptitle(f"{title}; here are the first 60" if len(t) > rows * columns else title)
    grid = figure.subplots(rows, columns).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, image, guess, truth in zip(grid, images, predicted, t, strict=False):
        axes.set_axis_on()
        axes.set(xticks=[], yticks=[])
        axes.imshow(image.reshape(28, 28), cmap="gray_r")
        wrong = guess != truth
        axes.spines[:].set(color=WRONG if wrong else "lightgray", linewidth=2.5 if wrong else 0.8)
        label = f"read {guess}, is {truth}" if wrong else f"{guess}"
        axes.set_title(label, color=WRONG if wrong else "black", fontsize=11, pad=3)
    save(figure, path)


def filters(path: Path, before: NDArray[Any], after: NDArray[Any]) -> None:
    """Draw kernels of one channel, (F, 1, KH, KW), before training and after, on one scale."""
    columns = 10
    rows = -(-len(after) // columns)
    figure = Figure(figsize=(9, 1 + 1.9 * rows), layout="constrained")
    parts: Any = figure.subfigures(2, 1)
    limit = np.abs([before, after]).max()
    titles = "before training", "after training"
    for part, kernels, title in zip(parts, (before, after), titles, strict=True):
        part.suptitle(f"{title}: the {len(kernels)} kernels of the first layer")
        grid = part.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, kernel in zip(grid, kernels[:, 0], strict=False):
            image = axes.imshow(kernel, cmap="RdBu_r", vmin=-limit, vmax=limit)
        part.colorbar(image, ax=grid, label="weight")
    save(figure, path)


def images(path: Path, grid: NDArray[Any], title: str) -> None:
    """Draw a grid (rows, columns, height, width) of images of ink between 0 and 1."""
    rows, columns, *_ = grid.shape
    figure = Figure(figsize=(0.6 * columns, 0.6 * rows + 0.5), layout="constrained")
    _show_grid(figure.subplots(), grid)
    figure.suptitle(title)
    save(figure, path)


def latent_plane(path: Path, z: NDArray[Any], t: NDArray[Any], decoded: NDArray[Any]) -> None:
    """Draw points (N, 2) by their digit, and beside them a grid of images of the plane."""
    figure = Figure(figsize=(13, 6), layout="constrained")
    left, right = figure.subplots(1, 2)
    dots = left.scatter(*z.T, c=t, s=4, cmap="tab10", vmin=-0.5, vmax=9.5)
    left.set(title="the mean of z of each test digit", xlabel="$z_1$", ylabel="$z_2$", aspect=1)
    figure.colorbar(dots, ax=left, ticks=range(10), label="digit")
    _show_grid(right, decoded)
    right.set_title("the digit of each z, from the 2.5% to the 97.5% quantile of N(0, 1)")
    save(figure, path)


def _show_grid(axes: Any, grid: NDArray[Any]) -> None:
    rows, columns, height, width = grid.shape
    joined = grid.swapaxes(1, 2).reshape(rows * height, columns * width)
    axes.imshow(joined, cmap="gray_r", vmin=0, vmax=1)
    axes.set_axis_off()


def check(path: Path) -> None:
    """Stop unless a picture can be drawn at `path`: call it before a long training."""
    with one_line(f"cannot draw {path}", OSError, ValueError):
        Figure().savefig(BytesIO(), format=path.suffix[1:] or None)
        check_file(path)


def save(figure: Figure, path: Path) -> None:
    """Write `figure` in the format that the ending of `path` names."""
    with one_line(f"cannot draw {path}", OSError, ValueError):  # no such folder, no such format
        figure.savefig(path, dpi=150)
    print(f"drew {path}")
