"""A net as a regressor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from ...layers import Layer, MSELoss
from ...layers.base import Array
from .base import NetEstimator


@dataclass(eq=False, repr=False)
class NetRegressor(RegressorMixin, NetEstimator):  # type: ignore[misc]
    """A net as a regressor for scikit-learn.

    Targets are numbers, shape (N,) or (N, K). A net learns best from inputs and targets of mean 0
    and standard deviation 1: see scikit-learn's `StandardScaler` and `TransformedTargetRegressor`.

    Parameters
    ----------
    net, hidden_layer_sizes, activation, solver, optimizer, learning_rate_init, schedule
        See `NetClassifier`.
    loss : Layer, optional
        Loss of outputs and targets, both of shape (N, K), copied for each fit; by default
        `MSELoss`.
    batch_transform, batch_size, max_iter
        See `NetClassifier`.
    early_stopping, validation_fraction, n_iter_no_change, tol
        See `NetClassifier`; the validation score is R^2.
    warm_start, random_state, verbose
        See `NetClassifier`.

    Attributes
    ----------
    net_, loss_curve_, validation_scores_, n_iter_, n_outputs_, n_features_in_, feature_names_in_
        See `NetClassifier`.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(n_features=5, random_state=0)
    >>> model = NetRegressor(solver="lbfgs", max_iter=2000, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.99)
    True
    """

    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one more epoch on these rows, with the same optimizer and Generator.

        Parameters
        ----------
        X : array of shape (N, D)
            Inputs.
        y : array of shape (N,) or (N, K)
            Targets.
        sample_weight : array of shape (N,), optional
            Weight of each row in the loss.

        Returns
        -------
        NetRegressor
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            As `fit`.
        """
        return self._partial_fit(X, y, sample_weight, known=hasattr(self, "net_"))

    def predict(self, X: ArrayLike) -> Array:
        """Return the net's outputs.

        Parameters
        ----------
        X : array of shape (N, D)
            Inputs.

        Returns
        -------
        array of shape (N,) or (N, K)
            Predicted targets.
        """
        outputs = self._outputs(X)
        return outputs.ravel() if self._one_column else outputs

    def _targets(self, y: Array, dtype: Any, known: bool) -> Array:
        t = y.reshape(len(y), -1).astype(dtype, copy=False)
        if not known:
            self.n_outputs_, self._one_column = t.shape[1], y.ndim == 1
        return t

    def _weights(self, y: Array, weights: Any) -> Any:
        return weights

    def _default_loss(self) -> Layer:
        return MSELoss()

    def _score(self, x: Array, t: Array, weights: Any) -> float:
        return float(r2_score(t, self._predict_rows(x), sample_weight=weights))
