"""The base class of both estimators: the net, the training, and scikit-learn's interface."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted, validate_data

from ...layers import Affine, Identity, Layer, ReLU, Sigmoid, Tanh, xavier_normal
from ...layers.base import Array
from ...layers.checks import as_count
from ..optimizers import SGD, Adam
from ..protocols import Schedule, Transform
from ..sequential import Sequential
from ..training import Trainer, minimize

MakeNet = Callable[[int, int, "np.random.Generator"], Layer]

_ACTIVATIONS = {"identity": Identity, "logistic": Sigmoid, "tanh": Tanh, "relu": ReLU}
_SOLVERS = ("adam", "sgd", "lbfgs")
_ROWS = 1000  # rows that the net predicts at a time


@dataclass(eq=False, repr=False)  # writes the __init__ that scikit-learn reads
class NetEstimator(BaseEstimator):  # type: ignore[misc]
    """Base class of both estimators: the net, the training, and scikit-learn's interface."""

    net: MakeNet | None = None
    _: KW_ONLY
    hidden_layer_sizes: int | Sequence[int] = (100,)
    activation: str = "relu"
    loss: Any = None
    solver: str = "adam"
    optimizer: Any = None
    learning_rate_init: float = 0.001
    schedule: Schedule | None = None
    batch_transform: Transform | None = None
    batch_size: int | str = "auto"
    max_iter: int = 200
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 10
    tol: float = 1e-4
    warm_start: bool = False
    random_state: int | np.random.RandomState | None = None
    verbose: bool = False

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train a new net; with `warm_start`, the existing one.

        Parameters
        ----------
        X : array of shape (N, D)
            Inputs; float32 and float64 are kept, and the net has the same dtype.
        y : array of shape (N,) or (N, K)
            Targets.
        sample_weight : array of shape (N,), optional
            Weight of each row in the loss, at least 0; a row of weight 2 counts twice.

        Returns
        -------
        NetClassifier or NetRegressor
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If a parameter, the data or the weights are unsuitable.
        FloatingPointError
            If the loss becomes NaN or infinite.
        """
        as_count(self.max_iter, f"{type(self).__name__}: max_iter")
        keep = bool(self.warm_start) and hasattr(self, "net_")
        before = dict(vars(self))
        try:
            x, t, weights = self._prepare(X, y, sample_weight, keep)
            if not keep:
                self._new_net(x)
            self._new_run()
            if self.solver == "lbfgs" and self.optimizer is None:
                self._minimize(x, t, weights)
            else:
                self._train(x, t, weights)
            self.net_.forget()
        except Exception:
            self.__dict__ = before  # a fitted estimator can still predict
            raise
        return self

    def _partial_fit(self, X: Any, y: Any, weights: Any, known: bool) -> Self:
        """Train for one epoch, with the optimizer and the Generator of the call before."""
        if self.solver == "lbfgs" and self.optimizer is None:
            raise ValueError(f"{type(self).__name__}: partial_fit needs solver 'adam' or 'sgd'")
        x, t, weights = self._prepare(X, y, weights, known)
        if not hasattr(self, "net_"):
            self._new_net(x)
            self._new_run()
        self._epochs(x, t, weights, 1)
        self.net_.forget()
        return self

    def _prepare(self, X: Any, y: Any, weights: Any, known: bool) -> tuple[Array, Array, Any]:
        """Return inputs, targets and weights, checked, without the rows of weight 0."""
        x, y = validate_data(
            self,
            *(X, y),
            dtype=(np.float64, np.float32),
            multi_output=True,
            y_numeric=is_regressor(self),
            reset=not (known and hasattr(self, "net_")),
        )
        if weights is not None:
            weights = np.asarray(weights, np.float64)
            if weights.shape != (len(x),):
                raise ValueError(
                    f"sample_weight has shape {weights.shape}, expected ({len(x)},), one per row"
                )
            if not (np.isfinite(weights).all() and (weights >= 0).all()):
                raise ValueError("sample_weight has a value below 0 or not finite")
            if not weights.any():
                raise ValueError("sample_weight must contain at least one non-zero number")
            x, y, weights = x[weights > 0], y[weights > 0], weights[weights > 0]
        return x, self._targets(y, x.dtype, known), self._weights(y, weights)

    def _new_net(self, x: Array) -> None:
        """Make a new net in the dtype of `x`."""
        seed: Any = self.random_state
        if isinstance(seed, np.random.RandomState):  # draw from it
            seed = seed.randint(2**32, dtype=np.uint32)
        self._rng = np.random.default_rng(seed)
        if isinstance(self.net, Layer) or not (self.net is None or callable(self.net)):
            raise TypeError(
                f"{type(self).__name__}: net is {self.net!r:.60}, expected a function "
                "net(inputs, outputs, rng) that makes a new net"
            )
        make = self._dense if self.net is None else self.net
        net = make(x.shape[1], self.n_outputs_, self._rng)
        net.map_arrays(lambda a: a.astype(x.dtype) if a.dtype.kind == "f" else a)
        came, expected = np.shape(net.predict(x[:1])), (1, self.n_outputs_)
        if came != expected:
            raise ValueError(
                f"{type(self).__name__}: for one row the net returns the shape {came}, expected "
                f"{expected}: one output per class, label or target"
            )
        self.net_ = net

    def _new_run(self) -> None:
        self._optimizer = self._new_optimizer()
        self._steps, self.n_iter_, self.loss_curve_ = 0, 0, list[float]()

    def _dense(self, inputs: int, outputs: int, rng: np.random.Generator) -> Sequential:
        """Return ``Affine, activation, ..., Affine`` with the sizes of the hidden layers."""
        name, hidden = type(self).__name__, np.atleast_1d(self.hidden_layer_sizes).tolist()
        if self.activation not in _ACTIVATIONS:
            raise ValueError(
                f"{name}: activation is {self.activation!r}, expected one of {list(_ACTIVATIONS)}"
            )
        init = xavier_normal  # the larger weights of he_normal: 2 % less accuracy on a noisy table
        layers: list[Layer] = []
        for before, after in pairwise([inputs, *hidden, outputs]):
            layers.append(Affine.random(before, after, rng, init=init, dtype=np.float64))
            layers.append(_ACTIVATIONS[self.activation]())
        return Sequential(*layers[:-1])

    def _new_optimizer(self) -> Any:
        if self.optimizer is not None:
            return copy.deepcopy(self.optimizer)
        if self.solver not in _SOLVERS:
            raise ValueError(
                f"{type(self).__name__}: solver is {self.solver!r}, expected one of {_SOLVERS}"
            )
        if self.solver == "sgd":
            return SGD(self.learning_rate_init, momentum=0.9, nesterov=True)
        return Adam(self.learning_rate_init)

    def _new_loss(self) -> Any:
        return self._default_loss() if self.loss is None else copy.deepcopy(self.loss)

    def _epochs(
        self, x: Array, t: Array, weights: Any, most: int, judge: Callable[[], None] | None = None
    ) -> bool:
        """Train for at most `most` epochs, `judge` each; return whether no Ctrl-C ended it."""
        trainer = Trainer(
            self.net_, self._new_loss(), self._optimizer, self._rng, schedule=self.schedule
        )
        trainer.steps = self._steps
        size: Any = min(200, len(x)) if self.batch_size == "auto" else self.batch_size

        def after_epoch(trainer: Trainer) -> None:
            self.n_iter_ += 1
            self.loss_curve_.append(trainer.history.epochs[-1]["loss"])
            if judge is not None:
                judge()

        trainer.fit(
            *(x, t),
            epochs=most,
            batch_size=size,
            weights=weights,
            transform=self.batch_transform,
            after_epoch=after_epoch,
            progress=False,
        )
        self._steps = trainer.steps
        if trainer.unfinished is not None:
            warnings.warn(f"{type(self).__name__}: the training was interrupted", stacklevel=4)
        return trainer.unfinished is None

    def _train(self, x: Array, t: Array, weights: Any) -> None:
        """Train for epochs until the loss, or the validation score, improves no more."""
        if self.early_stopping:
            x, t, weights, held_out = self._hold_out(x, t, weights)
            self.validation_scores_: list[float] = []
        best, waited, state = -np.inf, 0, None

        def judge() -> None:
            nonlocal best, waited, state
            score = -self.loss_curve_[-1]
            if self.early_stopping:
                score = self._score(*held_out)
                self.validation_scores_.append(score)
            if self.verbose:
                what = "validation score" if self.early_stopping else "loss"
                print(f"epoch {self.n_iter_}: {what} {abs(score):.6f}")
            waited = waited + 1 if score < best + self.tol else 0
            if score > best:
                best, state = score, self.net_.state_dict() if self.early_stopping else None
            if waited > self.n_iter_no_change:
                raise StopIteration

        finished = self._epochs(x, t, weights, self.max_iter, judge)
        if finished and waited <= self.n_iter_no_change:
            self._warn_not_converged("epochs")
        if state is not None:
            self.net_.load_state_dict(state)

    def _hold_out(self, x: Array, t: Array, weights: Any) -> tuple[Array, Array, Any, Any]:
        """Return the rows to train on, and those of the validation, a part by `_rng`."""
        rows = train_test_split(
            np.arange(len(x)),
            test_size=self.validation_fraction,
            random_state=int(self._rng.integers(2**32)),
            stratify=t if t.ndim == 1 else None,  # labels
        )
        if len(rows[1]) < 2:
            raise ValueError(
                f"{type(self).__name__}: validation_fraction={self.validation_fraction} of "
                f"{len(x)} rows holds out {len(rows[1])}, expected at least 2"
            )
        (x, held_x), (t, held_t) = ([array[r] for r in rows] for array in (x, t))
        parts = [None, None] if weights is None else [weights[r] for r in rows]
        return x, t, parts[0], (held_x, held_t, parts[1])

    def _minimize(self, x: Array, t: Array, weights: Any) -> None:
        """Train by SciPy's L-BFGS-B on all rows at once."""
        result = minimize(
            *(self.net_, self._new_loss(), x, t),
            weights=weights,
            options={"maxiter": self.max_iter, "gtol": self.tol},
            callback=lambda iteration, value: self.loss_curve_.append(value),
            progress=bool(self.verbose),
        )
        self.n_iter_ = max(1, result.nit)
        if result.nit >= self.max_iter:
            self._warn_not_converged("iterations")

    def _warn_not_converged(self, steps: str) -> None:
        warnings.warn(
            f"{type(self).__name__}: still improving after max_iter={self.max_iter} {steps}",
            ConvergenceWarning,
            stacklevel=4,
        )

    def _outputs(self, X: Any) -> Array:
        """Return the net's outputs for the rows of `X`."""
        check_is_fitted(self, "net_")
        x = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        return self._predict_rows(x)

    def _predict_rows(self, x: Array) -> Array:
        x = x.astype(self.net_.params[0].dtype, copy=False)
        parts = [self.net_.predict(x[i : i + _ROWS]) for i in range(0, len(x), _ROWS)]
        return np.concatenate(parts)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
