"""scikit-learn's MLPClassifier: a call of `partial_fit` is one epoch of the library's own loop."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier

from .workloads import Array, Run, Workload


def prepare(workload: Workload, weights: list[Array], x: Array, t: Array) -> Run:
    """Set the classifier up and put the common weights into it.

    The first epoch takes the batches that all peers take. Later ones let the library shuffle: the
    work is the same, and its loop gathers each batch by index as the others do.
    """
    name, lr = workload.optimizer
    hidden = [sizes[1] for kind, *sizes in workload.layers if kind == "affine"][:-1]
    net = MLPClassifier(
        hidden,
        activation={"sigmoid": "logistic", "relu": "relu"}[workload.layers[1][0]],
        solver=name,
        alpha=0,
        batch_size=workload.batch,
        learning_rate_init=lr,
        momentum=0,
        nesterovs_momentum=False,
        max_iter=1,
        shuffle=False,
        warm_start=True,
    )
    warnings.simplefilter("ignore")  # that one iteration has not converged
    net.fit(x, t)  # shapes the arrays
    for mine, theirs in zip(net.coefs_, weights[0::2], strict=True):
        mine[...] = theirs
    for mine, theirs in zip(net.intercepts_, weights[1::2], strict=True):
        mine[...] = theirs
    trained = False

    def run(epoch: list[Array]) -> list[Any]:
        nonlocal trained
        if trained:
            net.partial_fit(x, t)
        else:
            rows = np.concatenate(epoch)
            net.fit(x[rows], t[rows])  # a warm start, with a fresh optimizer
            trained = net.shuffle = True
        return [net.loss_]

    return run
