"""Normalization: activations of zero mean and unit variance, over a batch or within a sample."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .base import Array, Layer
from .checks import as_count, as_float_dtype, as_number, as_parameter, as_positive
from .half import wide
from .images.layout import batch_last


class _Normalization(Layer):
    """What the normalizations share: a scale gamma, a shift beta and eps."""

    param_names = ("gamma", "beta")
    dtype: np.dtype[Any]  # of the latest output

    def __init__(self, gamma: ArrayLike, beta: ArrayLike, eps: float = 1e-5) -> None:
        name = type(self).__name__
        self.gamma = as_parameter(gamma, f"{name}: gamma")
        self.beta = as_parameter(beta, f"{name}: beta")
        if self.gamma.ndim == 0 or self.gamma.shape != self.beta.shape:
            raise ValueError(
                f"{name}: gamma has shape {self.gamma.shape} and beta {self.beta.shape}, "
                "expected two equal shapes such as (D,)"
            )
        self.eps = as_positive(eps, f"{name}: eps")

    def check_range(self, spread: Array, x: Array) -> None:
        """Raise if the variance of finite values is too large for their dtype: y would be 0."""
        if not np.isfinite(spread).all() and np.isfinite(x).all():
            raise ValueError(
                f"{self!r}: x holds values up to {np.abs(x).max():.3g}, whose variance is not "
                f"finite in {spread.dtype}"
            )

    def rounded(self, gradient: Array) -> Array:
        """Return the gradient of gamma or beta, summed up in float32, as float16 if they are."""
        return gradient.astype(np.float16) if self.dtype == np.float16 else gradient

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(str, self.gamma.shape))})"


class _OfChannels(_Normalization):
    """What `BatchNorm` and `GroupNorm` share: one gamma and one beta for each channel."""

    def __init__(self, gamma: ArrayLike, beta: ArrayLike, eps: float) -> None:
        super().__init__(gamma, beta, eps)
        if self.gamma.ndim != 1:
            raise ValueError(
                f"{type(self).__name__}: gamma has shape {self.gamma.shape}, expected (C,)"
            )

    def expects(self, shape: tuple[int, ...]) -> str:
        channels = len(self.gamma)
        fits = len(shape) >= 2 and shape[1] == channels
        return "" if fits else f"(N, {channels}) or (N, {channels}, H, W)"


class BatchNorm(_OfChannels):
    """``y = gamma (x - mean) / std + beta``, with mean and std of each channel over the batch.

    ``dgamma`` is the sum of ``dout (x - mean) / std``, ``dbeta`` the sum of ``dout``, and with
    ``m`` values per channel ``dx = gamma / std (dout - dbeta / m - dgamma (x - mean) / (std m))``.

    ``std`` is ``sqrt(var + eps)``. In evaluation mean and var are the running averages of
    training, and constants: ``dx = dout gamma / std``. Ioffe, Szegedy (2015), Batch
    Normalization, https://arxiv.org/abs/1502.03167

    Parameters
    ----------
    gamma, beta : arrays of shape (C,)
        Scale and shift; float arrays are used in place. `identity` makes them 1 and 0.
    momentum : float, default 0.1
        Weight of the new batch in the running averages, as in PyTorch.
    eps : float, default 1e-5
        Added to the variance.

    Attributes
    ----------
    running_mean, running_var : arrays of shape (C,)
        Saved with the parameters, not trained. The running variance is the unbiased one.

    Raises
    ------
    ValueError
        If gamma and beta differ in shape or are not vectors, momentum is not in [0, 1] or eps not
        positive; in training, from `forward`, if there is only one value per channel.

    Notes
    -----
    The input has shape (N, C) or (N, C, H, W): for images the mean is over their pixels too, so
    that ``m`` is N H W.
    """

    buffer_names = ("running_mean", "running_var")

    def __init__(
        self, gamma: ArrayLike, beta: ArrayLike, momentum: float = 0.1, eps: float = 1e-5
    ) -> None:
        super().__init__(gamma, beta, eps)
        self.momentum = as_number(momentum, "BatchNorm: momentum")
        if not 0 <= self.momentum <= 1:
            raise ValueError(f"BatchNorm: momentum is {momentum!r}, expected a number in [0, 1]")
        self.running_mean = np.zeros_like(wide(self.gamma))
        self.running_var = np.ones_like(wide(self.gamma))

    @classmethod
    def identity(cls, channels: int, *, dtype: DTypeLike = np.float32) -> Self:
        """Return a layer with gamma 1 and beta 0, the usual start.

        Parameters
        ----------
        channels : int
            Number C of channels.
        dtype : dtype, default float32
            Dtype of gamma and beta.
        """
        dtype = as_float_dtype(dtype, f"{cls.__name__}.identity: dtype")
        return cls(np.ones(channels, dtype), np.zeros(channels, dtype))

    def forward(self, x: Any) -> Array:
        x = self.as_input(x)
        dtype = np.result_type(x, self.gamma)
        x = batch_last(wide(x))
        if self.training:
            m = x.size // len(self.gamma)
            if m < 2:
                raise ValueError(
                    f"{self!r}: x has shape {x.shape}, {m} value per channel, expected at least "
                    "2 in training: one has no variance (a smaller last batch? drop it)"
                )
            mean = x.mean(axis=(0, *range(2, x.ndim)))  # pairwise sums of images, for large means
            centered = x - _wide(mean, x)
            var = _dot(centered, centered) / m
            self.check_range(var, x)
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_var += self.momentum * (var * (m / (m - 1)) - self.running_var)
        else:
            centered = x - _wide(self.running_mean, x)
            var = self.running_var
        self.dtype, self.of_batch, self.centered = dtype, self.training, centered
        self.std = np.sqrt(var + self.eps)
        y = centered * _wide(self.gamma / self.std, x)
        y += _wide(self.beta, x)
        return y.astype(dtype, copy=False)

    def backward(self, dout: Any) -> Array:
        centered, std = self.centered, self.std
        dout = wide(batch_last(self.as_dout(dout, centered.shape)))
        dgamma, dbeta = _dot(dout, centered) / std, _sum(dout)
        self.dgamma, self.dbeta = self.rounded(dgamma), self.rounded(dbeta)
        scale = self.gamma / std
        if not self.of_batch:
            return (dout * _wide(scale, dout)).astype(self.dtype, copy=False)
        m = dout.size // len(scale)
        # gamma / std (dout - dbeta / m - dgamma (x - mean) / (std m)), term by term in one array
        dx = centered * _wide(dgamma / (-m * std), dout)
        dx += dout
        dx -= _wide(dbeta / m, dout)
        dx *= _wide(scale, dout)
        return dx.astype(self.dtype, copy=False)


class LayerNorm(_Normalization):
    """``y = gamma xhat + beta``, ``xhat = (x - mean) / std`` with mean and std of each sample.

    ``dgamma`` and ``dbeta`` are the sums of ``dout xhat`` and ``dout`` over the batch, and with
    ``g = dout gamma``, ``dx = (g - mean(g) - xhat mean(g xhat)) / std``. ``std`` is
    ``sqrt(var + eps)``. Ba, Kiros, Hinton (2016), Layer Normalization,
    https://arxiv.org/abs/1607.06450

    Parameters
    ----------
    gamma, beta : arrays of shape (D,) or (C, H, W)
        Scale and shift; float arrays are used in place. `identity` makes them 1 and 0.
    eps : float, default 1e-5
        Added to the variance.

    Raises
    ------
    ValueError
        If gamma and beta differ in shape, or eps is not positive.

    Notes
    -----
    The input has shape (N, D) or (..., D), or (N, C, H, W): the mean is over as many of the last
    axes as gamma has.
    """

    @classmethod
    def identity(cls, *shape: int, dtype: DTypeLike = np.float32) -> Self:
        """Return a layer with gamma 1 and beta 0, the usual start.

        Parameters
        ----------
        *shape : int
            Shape of gamma, such as D.
        dtype : dtype, default float32
            Dtype of gamma and beta.
        """
        dtype = as_float_dtype(dtype, f"{cls.__name__}.identity: dtype")
        return cls(np.ones(shape, dtype), np.zeros(shape, dtype))

    def expects(self, shape: tuple[int, ...]) -> str:
        lengths = self.gamma.shape
        fits = len(shape) > len(lengths) and shape[-len(lengths) :] == lengths
        return "" if fits else f"(N, {', '.join(map(str, lengths))})"

    def forward(self, x: Any) -> Array:
        x = self.as_input(x)
        self.dtype, D = np.result_type(x, self.gamma), self.gamma.size
        rows = wide(x).reshape(-1, D)
        self.xhat = xhat = rows - rows.mean(axis=1, keepdims=True)
        self.std = np.sqrt(np.einsum("nd,nd->n", xhat, xhat) / D + self.eps)[:, np.newaxis]
        self.check_range(self.std, x)
        xhat /= self.std
        y = xhat * self.gamma.ravel()
        y += self.beta.ravel()
        self.shape = x.shape
        return y.reshape(x.shape).astype(self.dtype, copy=False)

    def backward(self, dout: Any) -> Array:
        xhat, gamma = self.xhat, self.gamma
        D = gamma.size
        rows = wide(self.as_dout(dout, self.shape)).reshape(-1, D)
        self.dgamma = self.rounded(np.einsum("nd,nd->d", rows, xhat).reshape(gamma.shape))
        self.dbeta = self.rounded(rows.sum(axis=0).reshape(gamma.shape))
        g = rows * gamma.ravel()
        along = np.einsum("nd,nd->n", g, xhat) / D
        dx = g - np.einsum("nd->n", g)[:, np.newaxis] / D
        dx -= xhat * along[:, np.newaxis]
        dx /= self.std
        return dx.reshape(self.shape).astype(self.dtype, copy=False)


class GroupNorm(_OfChannels):
    """``y = gamma xhat + beta``, ``xhat = (x - mean) / std`` of groups of channels of each sample.

    ``dgamma`` and ``dbeta`` are the sums of ``dout xhat`` and ``dout`` over batch and pixels, and
    with ``g = dout gamma``, ``dx = (g - mean(g) - xhat mean(g xhat)) / std``. ``std`` is
    ``sqrt(var + eps)``. Wu, He (2018), Group Normalization, https://arxiv.org/abs/1803.08494

    Parameters
    ----------
    gamma, beta : arrays of shape (C,)
        Scale and shift; float arrays are used in place. `identity` makes them 1 and 0.
    groups : int
        Number of groups into which the channels are split, a divisor of C.
    eps : float, default 1e-5
        Added to the variance.

    Raises
    ------
    ValueError
        If gamma and beta differ in shape or are not vectors, eps is not positive, or `groups` does
        not divide C.

    Notes
    -----
    The input has shape (N, C) or (N, C, H, W).
    """

    def __init__(self, gamma: ArrayLike, beta: ArrayLike, groups: int, eps: float = 1e-5) -> None:
        super().__init__(gamma, beta, eps)
        self.groups = as_count(groups, "GroupNorm: groups")
        if len(self.gamma) % self.groups:
            raise ValueError(
                f"GroupNorm: groups is {groups}, expected a divisor of the "
                f"{len(self.gamma)} channels"
            )

    @classmethod
    def identity(cls, channels: int, groups: int, *, dtype: DTypeLike = np.float32) -> Self:
        """Return a layer with gamma 1 and beta 0, the usual start.

        Parameters
        ----------
        channels : int
            Number C of channels.
        groups : int
            Number of groups, a divisor of C.
        dtype : dtype, default float32
            Dtype of gamma and beta.
        """
        dtype = as_float_dtype(dtype, f"{cls.__name__}.identity: dtype")
        return cls(np.ones(channels, dtype), np.zeros(channels, dtype), groups)

    def forward(self, x: Any) -> Array:
        x = self.as_input(x)
        self.dtype = np.result_type(x, self.gamma)
        x = batch_last(wide(x))
        grouped = self._grouped(x)
        within = tuple(range(2, grouped.ndim))
        xhat = grouped - grouped.mean(axis=within, keepdims=True)
        self.std = np.sqrt(np.square(xhat).mean(axis=within, keepdims=True) + self.eps)
        self.check_range(self.std, x)
        xhat /= self.std
        self.xhat = xhat.reshape(x.shape)
        y = self.xhat * _wide(self.gamma, x)
        y += _wide(self.beta, x)
        return y.astype(self.dtype, copy=False)

    def backward(self, dout: Any) -> Array:
        xhat = self.xhat
        dout = wide(batch_last(self.as_dout(dout, xhat.shape)))
        self.dgamma, self.dbeta = self.rounded(_dot(dout, xhat)), self.rounded(_sum(dout))
        g, xhat = self._grouped(dout * _wide(self.gamma, dout)), self._grouped(xhat)
        within = tuple(range(2, g.ndim))
        dx = xhat * -(g * xhat).mean(axis=within, keepdims=True)
        dx += g
        dx -= g.mean(axis=within, keepdims=True)
        dx /= self.std
        return dx.reshape(dout.shape).astype(self.dtype, copy=False)

    def _grouped(self, x: Array) -> Array:
        n, channels, *size = x.shape
        return x.reshape(n, self.groups, channels // self.groups, *size)

    def __repr__(self) -> str:
        return f"GroupNorm({len(self.gamma)}, groups={self.groups})"


def _wide(channels: Array, x: Array) -> Array:
    """Return one number for each channel in a shape that broadcasts with x, such as (C, 1, 1)."""
    return channels.reshape(-1, *(1 for _ in x.shape[2:]))


def _sum(x: Array) -> Array:
    """Return the sum of ``x`` for each channel."""
    return np.einsum("cm->c", _by_channel(x))


def _dot(x: Array, y: Array) -> Array:
    """Return the sum of ``x y`` for each channel.

    For images, of which a channel is one run in memory, BLAS takes half of einsum's time and rounds
    a tenth as much; for rows (N, C) it would take twenty times as long.
    """
    if x.ndim == 2:
        return np.einsum("nc,nc->c", x, y)
    return (_by_channel(x)[:, np.newaxis] @ _by_channel(y)[:, :, np.newaxis])[:, 0, 0]


def _by_channel(x: Array) -> Array:
    """Return the m values of each channel as rows (C, m), of images without a copy."""
    return x.transpose(1, *range(2, x.ndim), 0).reshape(x.shape[1], -1)
