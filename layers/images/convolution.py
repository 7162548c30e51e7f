"""Convolution of images, and its transpose."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base import Array
from ..checks import Pair
from ..half import wide
from .correlation import correlate, correlate_input, correlate_weights
from .kernel import Kernel
from .layout import batch_last


class Convolution(Kernel):
    """``out = W * x + b``;  ``dW = dout * x``, ``db`` = sum of ``dout``, ``dx = W^T * dout``.

    ``out[n, f, h, w] = b[f] + sum of W[f, c, i, j] x[n, c, h s + i d - p, w s + j d - p]``

    with stride s, dilation d and padding p, where x is 0 outside the image. As in most of the field
    it is strictly a cross-correlation: the kernel is not flipped. The three sums are in
    `correlation`: the textbook's im2col and a matrix product, a block of patches at a time.

    Parameters
    ----------
    W : array of shape (F, C / groups, KH, KW)
        F kernels; a float array is used in place.
    b : array of shape (F,)
        Bias; a float array is used in place.
    stride : int or pair of int, default 1
        Steps (down, right) from one output to the next.
    pad : int, pair of int or "same", default 0
        Zeros around the image (above and below, left and right). "same" keeps the size of the
        image: for an even kernel the odd zero comes last; it needs stride 1.
    dilation : int or pair of int, default 1
        Distance of the pixels under neighbouring weights.
    groups : int, default 1
        Number of groups into which channels and kernels are split; a kernel sees its own group.

    Raises
    ------
    TypeError, ValueError
        If the shapes of W and b do not match, an integer is out of range, or `pad` is "same" with
        a stride.

    Notes
    -----
    The input has shape (N, C, H, W), the output (N, F, OH, OW) with
    ``OH = (H + 2 p - d (KH - 1) - 1) // s + 1``. Dumoulin, Visin (2016), A guide to convolution
    arithmetic for deep learning, https://arxiv.org/abs/1603.07285
    """

    transposed = False

    def output_size(self, size: Pair) -> Pair:
        return self.window.outputs(size)

    def forward(self, x: Any) -> Array:
        self.x = x = batch_last(self.as_input(x))
        self.out_shape = (len(x), len(self.W), *self.output_size(x.shape[2:]))
        return correlate(x, self.W, self.b, self.window, self.out_shape[2:], self.groups)

    def backward(self, dout: Any) -> Array:
        dout = batch_last(self.as_dout(dout, self.out_shape))
        self.backward_params(dout)
        return correlate_input(dout, self.W, self.window, self.x.shape[2:], self.groups)

    def backward_params(self, dout: Any) -> None:
        dout = batch_last(self.as_dout(dout, self.out_shape))
        self.dW = correlate_weights(self.x, dout, self.window, self.groups)
        self.db = _sum(dout)


class ConvolutionTranspose(Kernel):
    """``out = W^T * x + b``;  ``dW = x * dout``, ``db`` = sum of ``dout``, ``dx = W * dout``.

    The transpose of the linear map that `Convolution` is with the same W. Each pixel of x is spread
    over the outputs that W covers; with a stride that enlarges images, as decoders do:

    ``out[n, c, h s + i d - p, w s + j d - p] = b[c] + sum of W[f, c, i, j] x[n, f, h, w]``

    Parameters
    ----------
    W : array of shape (C, F / groups, KH, KW)
        Kernels from C input channels to F output channels; a float array is used in place.
    b : array of shape (F,)
        Bias; a float array is used in place.
    stride : int or pair of int, default 1
        That of the `Convolution` that is transposed: the output is about s times as large.
    pad : int, pair of int or "same", default 0
        Likewise: it crops the output.
    dilation : int or pair of int, default 1
        Likewise.
    groups : int, default 1
        Likewise.

    Raises
    ------
    TypeError, ValueError
        As for `Convolution`.

    Notes
    -----
    The input has shape (N, C, H, W), the output (N, F, OH, OW) with
    ``OH = (H - 1) s + d (KH - 1) + 1 - 2 p``. Dumoulin, Visin (2016), A guide to convolution
    arithmetic for deep learning, https://arxiv.org/abs/1603.07285
    """

    transposed = True

    def output_size(self, size: Pair) -> Pair:
        return self.window.inputs(size)

    def forward(self, x: Any) -> Array:
        self.x = x = batch_last(self.as_input(x))
        self.out_shape = (len(x), len(self.b), *self.output_size(x.shape[2:]))
        out = correlate_input(x, self.W, self.window, self.out_shape[2:], self.groups)
        out += self.b[:, None, None]
        return out

    def backward(self, dout: Any) -> Array:
        dout = batch_last(self.as_dout(dout, self.out_shape))
        self.backward_params(dout)
        return correlate(dout, self.W, None, self.window, self.x.shape[2:], self.groups)

    def backward_params(self, dout: Any) -> None:
        dout = batch_last(self.as_dout(dout, self.out_shape))
        self.dW = correlate_weights(dout, self.x, self.window, self.groups)
        self.db = _sum(dout)


def _sum(dout: Array) -> Array:
    """Return the sum of dout for each channel."""
    return np.einsum("nfhw->f", wide(dout)).astype(dout.dtype, copy=False)
