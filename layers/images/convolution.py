"""Convolution of images, and its transpose."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..base import Array, Layer
from ..checks import Pair, as_count, as_parameter, pair
from ..initializers import Initializer, he_normal
from .correlation import correlate, correlate_input, correlate_weights
from .layout import batch_last
from .window import Window


class _Kernel(Layer):
    """What `Convolution` and `ConvolutionTranspose` share: W, b and how W moves over images."""

    param_names = ("W", "b")
    _transposed: ClassVar[bool]  # whether the first axis of W is the input's channels

    def __init__(
        self,
        W: ArrayLike,
        b: ArrayLike,
        stride: int | Pair = 1,
        pad: int | Pair | str = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
    ) -> None:
        name = type(self).__name__
        self.W, self.b = as_parameter(W, f"{name}: W"), as_parameter(b, f"{name}: b")
        if self.W.ndim != 4 or 0 in self.W.shape:
            raise ValueError(
                f"{name}: W has shape {self.W.shape}, expected (F, C, KH, KW); "
                f"{name}.random(channels, filters, kernel, rng) draws one"
            )
        self.groups = as_count(groups, f"{name}: groups")
        if len(self.W) % self.groups:
            raise ValueError(
                f"{name}: groups is {groups}, expected a divisor of {len(self.W)}, "
                f"the first length of W {self.W.shape}"
            )
        self.pad = pad if isinstance(pad, str) else pair(name, "pad", pad, 0)
        self.window = _window(name, self.W.shape[2:], stride, self.pad, dilation)
        if self.b.shape != (self._channels()[1],):
            raise ValueError(
                f"{self!r}: b has shape {self.b.shape}, expected {self._channels()[1:]}"
            )

    @classmethod
    def random(
        cls,
        channels: int,
        filters: int,
        kernel: int | Pair,
        rng: np.random.Generator,
        *,
        stride: int | Pair = 1,
        pad: int | Pair | str = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        init: Initializer = he_normal,
        dtype: DTypeLike = np.float32,
    ) -> Self:
        """Return a layer from `channels` to `filters`: W drawn from `rng` by `init`, b zero."""
        name = f"{cls.__name__}.random"
        channels = as_count(channels, f"{name}: channels")
        filters, groups = as_count(filters, f"{name}: filters"), as_count(groups, f"{name}: groups")
        size, step = pair(name, "kernel", kernel, 1), pair(name, "stride", stride, 1)
        if channels % groups or filters % groups:
            raise ValueError(
                f"{name}: channels, filters and groups are {channels}, {filters} and {groups}, "
                "expected the first two divisible by the third"
            )
        inputs, outputs, taps = channels // groups, filters // groups, math.prod(size)
        lengths, fan_in = (filters, inputs), inputs * taps
        if cls._transposed:  # an output gathers only every s-th weight, down and right
            lengths, fan_in = (channels, outputs), max(1, fan_in // math.prod(step))
        W = init((*lengths, *size), fan_in, outputs * taps, rng, dtype)
        return cls(W, np.zeros(filters, dtype), stride, pad, dilation, groups)

    def _channels(self) -> Pair:
        """Return the numbers of channels of the input and of the output."""
        first, second = len(self.W), self.W.shape[1] * self.groups
        return (first, second) if self._transposed else (second, first)

    def _size(self, size: Pair) -> Pair:
        """Return the size of the output for an image of `size`."""
        raise NotImplementedError

    def expects(self, shape: tuple[int, ...]) -> str:
        channels = self._channels()[0]
        if len(shape) != 4 or shape[1] != channels:
            return f"(N, {channels}, H, W)"
        if min(self._size(shape[2:])) < 1:
            return f"(N, {channels}, H, W) with images large enough for one output"
        return ""

    def _images(self, x: Any) -> Array:
        return batch_last(self.as_input(x))

    def _gradient(self, dout: Any) -> Array:
        size = self._size(self.x.shape[2:])
        return batch_last(self.as_dout(dout, (len(self.x), self._channels()[1], *size)))

    def __repr__(self) -> str:
        (inputs, outputs), window = self._channels(), self.window
        text = f"{type(self).__name__}({inputs} -> {outputs}, {_times(window.size)}"
        if window.stride != (1, 1):
            text += f", stride={_times(window.stride)}"
        if self.pad != (0, 0):
            text += f", pad={_times(self.pad) if isinstance(self.pad, tuple) else repr(self.pad)}"
        if window.dilation != (1, 1):
            text += f", dilation={_times(window.dilation)}"
        return text + (f", groups={self.groups})" if self.groups != 1 else ")")


class Convolution(_Kernel):
    """``out = W * x + b``;  ``dW = dout * x``, ``db`` = sum of ``dout``, ``dx = W^T * dout``.

    ``out[n, f, h, w] = b[f] + sum of W[f, c, i, j] x[n, c, h s + i d - p, w s + j d - p]``

    with stride s, dilation d and padding p, where x is 0 outside the image. As in most of the field
    it is strictly a correlation: the kernel is not turned around. It is computed as by the
    textbook's im2col and a matrix product, but a block of patches at a time.

    Parameters
    ----------
    W : array of shape (F, C / groups, KH, KW)
        F kernels; a float array is held, not copied.
    b : array of shape (F,)
        Bias; a float array is held, not copied.
    stride : int or pair of int, default 1
        Steps (down, right) from one output to the next.
    pad : int, pair of int or "same", default 0
        Zeros around the image (above and below, left and right). "same" keeps the size of the
        image: for an even kernel the odd zero comes last; it needs stride 1.
    dilation : int or pair of int, default 1
        Distance of the pixels under neighbouring weights.
    groups : int, default 1
        The channels are split into so many groups, and the kernels too: each sees its own group.

    Notes
    -----
    The input has shape (N, C, H, W), the output (N, F, OH, OW) with
    ``OH = (H + 2 p - d (KH - 1) - 1) // s + 1``. Dumoulin, Visin (2016), A guide to convolution
    arithmetic for deep learning, https://arxiv.org/abs/1603.07285
    """

    _transposed = False

    def forward(self, x: Any) -> Array:
        self.x = x = self._images(x)
        return correlate(x, self.W, self.b, self.window, self._size(x.shape[2:]), self.groups)

    def backward(self, dout: Any) -> Array:
        dout = self._gradient(dout)
        self.backward_params(dout)
        return correlate_input(dout, self.W, self.window, self.x.shape[2:], self.groups)

    def backward_params(self, dout: Any) -> None:
        """Assign the gradients of the parameters, without that of the input."""
        dout = self._gradient(dout)
        self.dW = correlate_weights(self.x, dout, self.window, self.groups)
        self.db = np.einsum("nfhw->f", dout)

    def _size(self, size: Pair) -> Pair:
        return self.window.outputs(size)


class ConvolutionTranspose(_Kernel):
    """``out = W^T * x + b``;  ``dW = x * dout``, ``db`` = sum of ``dout``, ``dx = W * dout``.

    The transpose of the linear map that `Convolution` is with the same W. Each pixel of x is spread
    over the outputs that W covers; with a stride that enlarges images, as decoders do:

    ``out[n, c, h s + i d - p, w s + j d - p] = b[c] + sum of W[f, c, i, j] x[n, f, h, w]``

    Parameters
    ----------
    W : array of shape (C, F / groups, KH, KW)
        Kernels from C input channels to F output channels; a float array is held, not copied.
    b : array of shape (F,)
        Bias; a float array is held, not copied.
    stride, pad, dilation, groups
        Those of the `Convolution` that is transposed: pad takes away pixels from the output.

    Notes
    -----
    The input has shape (N, C, H, W), the output (N, F, OH, OW) with
    ``OH = (H - 1) s + d (KH - 1) + 1 - 2 p``. Dumoulin, Visin (2016), A guide to convolution
    arithmetic for deep learning, https://arxiv.org/abs/1603.07285
    """

    _transposed = True

    def forward(self, x: Any) -> Array:
        self.x = x = self._images(x)
        out = correlate_input(x, self.W, self.window, self._size(x.shape[2:]), self.groups)
        out += self.b[:, None, None]
        return out

    def backward(self, dout: Any) -> Array:
        dout = self._gradient(dout)
        self.backward_params(dout)
        return correlate(dout, self.W, None, self.window, self.x.shape[2:], self.groups)

    def backward_params(self, dout: Any) -> None:
        """Assign the gradients of the parameters, without that of the input."""
        dout = self._gradient(dout)
        self.dW = correlate_weights(dout, self.x, self.window, self.groups)
        self.db = np.einsum("nfhw->f", dout)

    def _size(self, size: Pair) -> Pair:
        return self.window.inputs(size)


def _window(name: str, size: Any, stride: Any, pad: Any, dilation: Any) -> Window:
    stride, dilation = pair(name, "stride", stride, 1), pair(name, "dilation", dilation, 1)
    if pad != "same":
        before = after = pair(name, "pad", pad, 0)
        return Window(size, stride, dilation, before, after)
    if stride != (1, 1):
        raise ValueError(f"{name}: pad='same' with stride {stride}, expected stride 1")
    high, wide = ((k - 1) * d for k, d in zip(size, dilation, strict=True))
    before = high // 2, wide // 2
    return Window(size, stride, dilation, before, (high - before[0], wide - before[1]))


def _times(value: Pair) -> str:
    return f"{value[0]}x{value[1]}"
