"""Metrics of classifiers: functions of the predictions and the targets of all rows.

Each is called ``metric(y, t)``, predictions first. scikit-learn's take the targets first:
``def f1(y, t): return sklearn.metrics.f1_score(t, y.argmax(axis=1), average="macro")``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ...layers.base import Array
from ...layers.checks import as_count, check_real, check_unmasked
from ...layers.device import as_numpy
from .figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def accuracy(y: ArrayLike, t: ArrayLike, *, ignore_index: int | None = None) -> float:
    """Return the fraction of the rows whose largest entry is at the label.

    Parameters
    ----------
    y : array of shape (N, K) or (..., K)
        Logits, probabilities or scores of K classes, at least two.
    t : array of shape (N,) or (...), or of that of y
        Integer labels, or a distribution for each row, whose largest entry is the label.
    ignore_index : int, optional
        Rows with this label are left out.

    Returns
    -------
    float
        NaN if all rows are left out.

    Raises
    ------
    TypeError
        If labels are not integers.
    ValueError
        If the shapes do not match, or there is one column: the decision threshold, 0 or 0.5,
        depends on the net.
    """
    return _top_k("accuracy", y, t, 1, ignore_index)


def top_k_accuracy(
    y: ArrayLike, t: ArrayLike, k: int = 5, *, ignore_index: int | None = None
) -> float:
    """Return the fraction of the rows whose label is among the `k` largest entries.

    Among equal entries the first count. As a metric: ``partial(top_k_accuracy, k=3)``.

    Parameters
    ----------
    y : array of shape (N, K) or (..., K)
        Logits, probabilities or scores of K classes, at least two.
    t : array of shape (N,) or (...), or of that of y
        Integer labels, or a distribution for each row, whose largest entry is the label.
    k : int, default 5
        Number of entries.
    ignore_index : int, optional
        Rows with this label are left out.

    Returns
    -------
    float
        NaN if all rows are left out.

    Raises
    ------
    TypeError
        If labels are not integers.
    ValueError
        If the shapes do not match, or there is one column.
    """
    return _top_k("top_k_accuracy", y, t, k, ignore_index)


def _top_k(caller: str, y: ArrayLike, t: ArrayLike, k: int, ignore_index: int | None) -> float:
    k = as_count(k, f"{caller}: k")
    scores, labels = _scores_and_labels(caller, y, t)
    if k == 1:
        right = scores.argmax(axis=-1) == labels
    else:
        scores = scores if scores.dtype.kind == "f" else scores.astype(np.float64)
        best = np.argsort(-scores, axis=-1, kind="stable")[..., :k]
        right = (best == labels[..., None]).any(axis=-1)
    if ignore_index is not None:
        right = right[labels != ignore_index]
    return float(right.mean()) if right.size else float("nan")


def confusion_matrix(
    y: ArrayLike, t: ArrayLike, *, ignore_index: int | None = None
) -> ConfusionMatrix:
    """Count the rows of each true class, one row per class, by the predicted class.

    Parameters
    ----------
    y : array of shape (N, K) or (..., K)
        Logits, probabilities or scores of K classes, at least two.
    t : array of shape (N,) or (...), or of that of y
        Integer labels, or a distribution for each row, whose largest entry is the label.
    ignore_index : int, optional
        Rows with this label are left out.

    Returns
    -------
    ConfusionMatrix of shape (K, K)
        An array of integers; ``matrix[i, j]`` rows of class i were predicted to be of class j. It
        has ``plot()``, and Jupyter shows it as a picture.

    Raises
    ------
    TypeError
        If labels are not integers.
    ValueError
        If the shapes do not match, or a label is no class.
    """
    scores, labels = _scores_and_labels("confusion_matrix", y, t)
    classes, predicted = scores.shape[-1], scores.argmax(axis=-1).ravel()
    labels = labels.ravel()
    if ignore_index is not None:
        kept = labels != ignore_index
        labels, predicted = labels[kept], predicted[kept]
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(
            f"confusion_matrix: labels are from {labels.min()} to {labels.max()}, "
            f"expected 0 to {classes - 1}"
        )
    pairs = labels.astype(np.intp) * classes + predicted
    counts = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    return counts.view(ConfusionMatrix)


class ConfusionMatrix(np.ndarray[Any, Any]):
    """Counts by true class, one per row, and predicted class, one per column."""

    def plot(self, names: list[str] | None = None) -> Figure:
        """Draw the counts; each row is shaded by its fractions.

        Parameters
        ----------
        names : list of str, optional
            Names of the classes; by default their numbers.

        Returns
        -------
        matplotlib Figure
            Jupyter shows it; save it with ``figure.savefig(path)``.
        """
        classes = len(self)
        figure = new_figure("ConfusionMatrix.plot", 1.5 + 0.45 * classes, 1.2 + 0.45 * classes)
        axes, counts = figure.subplots(), np.asarray(self)
        fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
        for (i, j), count in np.ndenumerate(counts):
            if count:
                color = "white" if fractions[i, j] > 0.5 else "black"
                axes.text(j, i, str(count), ha="center", va="center", color=color, fontsize=8)
        labels = names if names is not None else list(map(str, range(classes)))
        axes.set_xticks(range(classes), labels, rotation=0 if names is None else 90)
        axes.set_yticks(range(classes), labels)
        axes.set(xlabel="predicted class", ylabel="true class")
        return figure

    def _repr_png_(self) -> bytes | None:
        """Draw the whole matrix for Jupyter; a part of it is shown as numbers."""
        if self.ndim != 2 or self.shape[0] != self.shape[1]:
            return None
        try:
            return self.plot()._repr_png_()  # type: ignore[attr-defined]
        except ImportError:  # without matplotlib, numbers
            return None


def _scores_and_labels(caller: str, y: ArrayLike, t: ArrayLike) -> tuple[Array, Array]:
    for name, value in (("y", y), ("t", t)):
        if isinstance(value, tuple) and any(np.ndim(part) > 1 for part in value):
            raise TypeError(
                f"{caller}: {name} is a tuple of {len(value)}, expected an array; for one of "
                f"several outputs write lambda y, t: {caller}(y[0], t[0])"
            )
        check_unmasked(value, f"{caller}: {name}")
        check_real(as_numpy(value), f"{caller}: {name}")
    y, t = as_numpy(y), as_numpy(t)
    if y.ndim < 2 or y.shape[-1] < 2 or t.shape not in (y.shape, y.shape[:-1]):
        raise ValueError(
            f"{caller}: y has shape {y.shape} and t {t.shape}, expected (N, K) and (N,) or (N, K) "
            "with K at least 2; for one column of logits, and t of its shape, write your own "
            "metric: np.mean((y > 0) == t)"
        )
    if t.shape == y.shape:
        return y, t.argmax(axis=-1)
    if t.dtype.kind == "f":
        raise TypeError(
            f"{caller}: labels t are of dtype {t.dtype}, expected integers: t.astype(int)"
        )
    return y, t
