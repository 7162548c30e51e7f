"""A net as a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from ...layers import BinaryCrossEntropyLoss, CrossEntropyLoss, Layer, Sigmoid, Softmax
from ...layers.base import Array
from .base import NetEstimator


@dataclass(eq=False, repr=False)
class NetClassifier(ClassifierMixin, NetEstimator):  # type: ignore[misc]
    """A net as a classifier for scikit-learn.

    Targets are labels of any type, shape (N,), or for several labels per row a matrix (N, K) of 0
    and 1. The net gives logits: one output per class or label.

    Parameters
    ----------
    net : function ``net(inputs, outputs, rng)``, optional
        Makes a new net for D inputs and K outputs, and draws its weights from `rng`. Its inputs are
        rows (N, D); a net for images begins with `chainrule.layers.Reshape`. By default a dense
        net described by the next two parameters, with weights by `xavier_normal`.
    hidden_layer_sizes : int or sequence of int, default (100,)
        Units of each hidden layer of the default net.
    activation : {"relu", "tanh", "logistic", "identity"}, default "relu"
        Activation of the default net.
    loss : Layer, optional
        Loss of logits and integer labels, copied for each fit. By default `CrossEntropyLoss`, for
        several labels per row `BinaryCrossEntropyLoss`.
    solver : {"adam", "sgd", "lbfgs"}, default "adam"
        `Adam`, `SGD` with Nesterov momentum 0.9, or `minimize` with L-BFGS-B on all rows, for which
        `schedule`, `batch_transform`, `batch_size` and `early_stopping` have no meaning.
    optimizer : Optimizer, optional
        Any other optimizer, instead of `solver` and `learning_rate_init`; copied for each fit.
    learning_rate_init : float, default 0.001
        Learning rate.
    schedule : function of the step, optional
        Gives the learning rate before each step; see `chainrule.networks.schedules`.
    batch_transform : function ``(x, t, rng) -> (x, t)``, optional
        Changes each training batch, such as by augmentation; t holds labels from 0 to K - 1.
    batch_size : int or "auto", default "auto"
        Rows per step; "auto" is ``min(200, N)``.
    max_iter : int, default 200
        Maximum number of epochs, or of iterations of L-BFGS-B.
    early_stopping : bool, default False
        Hold out part of the rows, stop by the score there and restore the best weights.
    validation_fraction : float, default 0.1
        The fraction to hold out.
    n_iter_no_change : int, default 10
        Stop after more than this many epochs without an improvement by `tol`.
    tol : float, default 1e-4
        Smallest improvement of the training loss, or of the validation score, that counts.
    warm_start : bool, default False
        Whether `fit` continues with the net of the previous fit.
    random_state : int, RandomState or None, default None
        Seed of the weights, the order of the rows and what the net draws; None for a new seed.
    verbose : bool, default False
        Print a line per epoch.
    class_weight : dict, "balanced" or None, default None
        Weight of each class in the loss, by label; "balanced" is inverse to the class frequencies.

    Attributes
    ----------
    classes_ : array of shape (K,)
        The labels, sorted, in the order of the net's outputs.
    net_ : Layer
        The trained net.
    loss_curve_ : list of float
        Training loss of each epoch.
    validation_scores_ : list of float
        Accuracy on the held-out rows after each epoch; only with `early_stopping`.
    n_iter_, n_outputs_, n_features_in_ : int
        Epochs, outputs and inputs.
    feature_names_in_ : array of shape (D,)
        Names of the inputs, if X was a DataFrame.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = NetClassifier(solver="lbfgs", random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True
    """

    class_weight: Any = None

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train for one more epoch on these rows, with the same optimizer and Generator.

        Parameters
        ----------
        X : array of shape (N, D)
            Inputs.
        y : array of shape (N,) or (N, K)
            Targets.
        classes : array of shape (K,), optional
            All labels that will occur; needed in the first call.
        sample_weight : array of shape (N,), optional
            Weight of each row in the loss.

        Returns
        -------
        NetClassifier
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            As `fit`, and if the first call has no `classes` or a later one has others, or
            `class_weight` is "balanced".
        """
        name = type(self).__name__
        if self.class_weight == "balanced":
            raise ValueError(
                f"{name}: class_weight is 'balanced', but partial_fit sees some of the rows alone; "
                "give a dict"
            )
        if not hasattr(self, "net_"):
            if classes is None:
                raise ValueError(f"{name}: the first call of partial_fit needs classes, all labels")
            self.classes_ = np.unique(classes)
            self.n_outputs_ = len(self.classes_)
            self._several = type_of_target(y) == "multilabel-indicator"
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"{name}: classes is {classes!r}, in the first call {self.classes_}")
        return self._partial_fit(X, y, sample_weight, known=True)

    def predict(self, X: ArrayLike) -> Array:
        """Return the label of the largest output, or for several labels a matrix of 0 and 1.

        Parameters
        ----------
        X : array of shape (N, D)
            Inputs.

        Returns
        -------
        array of shape (N,) or (N, K)
            Labels.
        """
        outputs = self._outputs(X)
        if self._several:
            return (outputs > 0).astype(int)
        return self.classes_[outputs.argmax(axis=1)]

    def predict_proba(self, X: ArrayLike) -> Array:
        """Return the probability of each class by softmax, or of each label by sigmoid.

        Parameters
        ----------
        X : array of shape (N, D)
            Inputs.

        Returns
        -------
        array of shape (N, K)
            Probabilities in the order of `classes_`.
        """
        outputs = self._outputs(X)
        return (Sigmoid() if self._several else Softmax()).forward(outputs)

    def decision_function(self, X: ArrayLike) -> Array:
        """Return the logits; for two classes, the second's minus the first's.

        Parameters
        ----------
        X : array of shape (N, D)
            Inputs.

        Returns
        -------
        array of shape (N, K), for two classes (N,)
            Above 0 where `predict` returns the second class, or the label.
        """
        outputs = self._outputs(X)
        two = len(self.classes_) == 2 and not self._several
        return outputs[:, 1] - outputs[:, 0] if two else outputs

    def _targets(self, y: Array, dtype: Any, known: bool) -> Array:
        name = type(self).__name__
        check_classification_targets(y)
        if (kind := type_of_target(y)) == "multiclass-multioutput":
            raise ValueError(
                f"{name}: y has several columns of classes; "
                "sklearn.multioutput.MultiOutputClassifier trains a net for each"
            )
        several = kind == "multilabel-indicator"
        y = y if several else column_or_1d(y, warn=True)
        classes = np.arange(y.shape[1]) if several else np.unique(y)
        if not known:
            self.classes_, self.n_outputs_, self._several = classes, len(classes), several
        if several != self._several or not np.isin(classes, self.classes_).all():
            raise ValueError(f"{name}: y has the classes {classes}, expected {self.classes_}")
        return y.astype(dtype) if several else np.searchsorted(self.classes_, y)

    def _weights(self, y: Array, weights: Any) -> Any:
        if self.class_weight is None:
            return weights
        of_class = compute_sample_weight(self.class_weight, y)
        return of_class if weights is None else weights * of_class

    def _default_loss(self) -> Layer:
        return BinaryCrossEntropyLoss() if self._several else CrossEntropyLoss()

    def _score(self, x: Array, t: Array, weights: Any) -> float:
        outputs = self._predict_rows(x)
        found = outputs > 0 if self._several else outputs.argmax(axis=1)
        return float(accuracy_score(t, found, sample_weight=weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
