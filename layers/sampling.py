"""GaussianSample and GaussianKL: a normal latent variable, drawn so that gradients pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Array, Layer
from .checks import as_generator
from .device import check_same_kind
from .half import total


class GaussianSample(Layer):
    """``z = mean + exp(log_var / 2) eps``, eps drawn from N(0, 1): the reparameterization.

    ``dmean = dout``, ``dlog_var = dout eps exp(log_var / 2) / 2``. In evaluation ``z = mean``.
    Kingma, Welling (2014), Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws eps, anew in each forward.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = as_generator(rng, "GaussianSample: rng")

    def forward(self, mean: Any, log_var: Any) -> Array:
        mean, log_var = _pair(self, mean, log_var)
        self.noise = np.zeros_like(mean)
        if self.training:
            eps = self.rng.standard_normal(mean.shape).astype(mean.dtype)
            self.noise = np.exp(log_var / 2) * np.asarray(eps, like=mean)
        return mean + self.noise

    def backward(self, dout: Any) -> tuple[Array, Array]:
        dout = self.as_dout(dout, self.noise.shape)
        return dout, dout * self.noise / 2


class GaussianKL(Layer):
    """``KL_n = sum (mean^2 + exp(log_var) - 1 - log_var) / 2``, of each sample, to N(0, 1).

    ``dmean = dout mean``, ``dlog_var = dout (exp(log_var) - 1) / 2``. The input is two arrays
    (N, D), the output (N,): what the latent variable of each sample costs, in nats. The source is
    that of `GaussianSample`.
    """

    def expects(self, shape: tuple[int, ...]) -> str:
        return "" if len(shape) == 2 else "(N, D)"

    def forward(self, mean: Any, log_var: Any) -> Array:
        self.mean, self.log_var = mean, log_var = _pair(self, mean, log_var)
        return total(mean * mean + np.expm1(log_var) - log_var, 1) / 2

    def backward(self, dout: Any) -> tuple[Array, Array]:
        dout = self.as_dout(dout, self.mean.shape[:1])[:, np.newaxis]
        return dout * self.mean, dout * np.expm1(self.log_var) / 2


def _pair(layer: Layer, mean: Any, log_var: Any) -> tuple[Array, Array]:
    mean, log_var = layer.as_input(mean, "mean"), layer.as_input(log_var, "log_var")
    check_same_kind(layer, mean=mean, log_var=log_var)
    if mean.shape != log_var.shape:
        raise ValueError(
            f"{layer!r}: log_var has shape {log_var.shape}, expected {mean.shape}, that of mean"
        )
    return mean, log_var
