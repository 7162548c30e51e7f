"""Full-batch training by SciPy's optimizers of first and second order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from ...layers.base import Array
from ...layers.device import as_numpy, moved
from ...layers.tree import layers_of
from ..gradients import NonFiniteLossError, backpropagate, watched_backpropagate
from .arguments import check_minimize, warn_of_bytes
from .batches import Batches, cast, home_of, placed
from .diagnosis import find_nonfinite
from .heap import keep_freed_memory
from .progress import Progress

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

Method = Literal["CG", "BFGS", "L-BFGS-B", "Newton-CG", "trust-ncg"]


def minimize(
    net: Any,
    loss: Any,
    x: Any,
    t: Any,
    method: Method = "L-BFGS-B",
    *,
    weights: ArrayLike | None = None,
    tol: float | None = None,
    options: Any = None,
    callback: Callable[[int, float], None] | None = None,
    progress: bool = True,
) -> OptimizeResult:
    """Minimize the loss over all of `x` and `t` at once, by `scipy.optimize.minimize`.

    Net and loss are in evaluation mode meanwhile, without Dropout, so that the loss is a function
    of the parameters. Afterwards the net has the best parameters found, even if it was ended early.

    Parameters
    ----------
    net : Layer
        The net, trained in place; preferably float64, since SciPy works in float64.
    loss : Layer
        A layer of two inputs, such as `chainrule.layers.CrossEntropyLoss`.
    x, t : arrays of shape (N, ...) or nested tuples of them
        Inputs and targets.
    method : {"L-BFGS-B", "CG", "BFGS", "Newton-CG", "trust-ncg"}
        The last two use the curvature along a direction, from differences of gradients. BFGS
        stores a matrix of n x n numbers for n parameters.
    weights : array of shape (N,) or (N, ...), optional
        Weights of the rows.
    tol : float, optional
        SciPy's tolerance.
    options : dict, optional
        SciPy's options of the method, such as ``{"maxiter": 100}``.
    callback : function ``(iteration, loss)``, optional
        Called after each iteration, from 1; raise StopIteration to end.
    progress : bool, default True
        Whether to report the progress on stderr.

    Returns
    -------
    scipy.optimize.OptimizeResult
        As SciPy returns it: ``x``, the flat vector of the parameters, ``fun``, ``nit`` and more.

    Raises
    ------
    ValueError, TypeError
        If the method is unknown, the net has no parameters or trains an array that it does not
        declare, or the data do not match, are empty, or are not finite numbers.
    FloatingPointError
        If the loss is NaN or infinite at the start.

    Notes
    -----
    L-BFGS-B works on matrices of 20x20, for which SciPy's BLAS may start threads, at a cost of
    milliseconds per iteration. For small nets the environment variable ``OPENBLAS_NUM_THREADS=1``
    then saves most of the time.
    """
    from scipy import optimize

    if method not in get_args(Method):
        raise ValueError(f"minimize: method is {method!r}, expected one of {get_args(Method)}")
    check_minimize(net, loss, options, callback)
    objective = _Objective(net, loss, x, t, weights)
    warn_of_bytes("minimize", net, x)
    iterations = 0
    with closing(Progress(progress, (options or {}).get("maxiter"), "iteration")) as shown:

        def after_iteration(intermediate_result: OptimizeResult) -> None:
            nonlocal iterations
            iterations += 1
            shown.step()
            if iterations % 10 == 0:
                shown.line(f"iteration {iterations}: loss {intermediate_result.fun:.6g}")
            if callback is not None:
                callback(iterations, float(intermediate_result.fun))

        modes = [(a, a.training) for a in layers_of(net, loss) if hasattr(a, "training")]
        for layer, _ in modes:
            layer.training = False
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # a long step may overflow
                return optimize.minimize(
                    objective,
                    objective.best,
                    method=method,
                    jac=True,
                    hessp=objective.curvature if method in ("Newton-CG", "trust-ncg") else None,
                    tol=tol,
                    options=options,
                    callback=after_iteration,
                )
        finally:
            _unflatten(objective.best, net.params)
            for layer, training in modes:
                layer.training = training


class _Objective:
    """The loss and its gradient as functions of one flat vector of all parameters."""

    def __init__(self, net: Any, loss: Any, x: Any, t: Any, weights: Any = None) -> None:
        self.net, self.loss = net, loss
        batches = Batches(x, t, weights=weights, caller="minimize")
        ((x, *labels),) = batches.once()
        home = home_of(layers_of(net))
        self.x, (self.t, self.weights) = cast(x, home), placed(tuple(labels), home)
        self.best, self.least = _flatten(net.params), math.inf
        self.backpropagate = watched_backpropagate
        keep_freed_memory()

    def __call__(self, w: Array) -> tuple[float, Array]:
        try:
            value, gradient = self._at(w)
        except NonFiniteLossError as error:
            if self.least == math.inf:
                found = find_nonfinite(self.net, self.x, self.t)
                raise FloatingPointError(f"minimize: {error} at the start: {found}") from error
            return math.inf, np.zeros_like(w)  # never NaN, which no line search turns away
        if value < self.least:
            self.least, self.best = value, w.copy()
        return value, gradient

    def curvature(self, w: Array, v: Array) -> Array:
        """``H v``, the Hessian times a vector, as ``(g(w + h v) - g(w - h v)) / 2h``."""
        length = float(np.linalg.norm(v))
        if length == 0:
            return np.zeros_like(v)
        eps = np.finfo(home_of(layers_of(self.net)).dtype).eps
        h = float(np.cbrt(eps)) * (1 + float(np.linalg.norm(w))) / length
        return (self._at(w + h * v)[1] - self._at(w - h * v)[1]) / (2 * h)

    def _at(self, w: Array) -> tuple[float, Array]:
        _unflatten(w, self.net.params)
        value = self.backpropagate(self.net, self.loss, self.x, self.t, self.weights)
        self.backpropagate = backpropagate  # only the first is watched
        return value, _flatten(self.net.grads)


def _flatten(arrays: Sequence[Array]) -> Array:
    return np.concatenate([as_numpy(array).ravel() for array in arrays]).astype(
        np.float64, copy=False
    )


def _unflatten(w: Array, params: Sequence[Array]) -> None:
    i = 0
    for p in params:
        p[...] = moved(w[i : i + p.size].reshape(p.shape), p)
        i += p.size
