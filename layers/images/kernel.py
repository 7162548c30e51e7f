"""What the convolutions share: W and b, how W moves over images, and the shapes that follow."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..base import Layer
from ..checks import Pair, as_count, as_float_dtype, as_generator, as_parameter, pair
from ..initializers import Initializer, he_normal
from .window import Window


class Kernel(Layer):
    """What `Convolution` and `ConvolutionTranspose` share: W, b and how W moves over images."""

    param_names = ("W", "b")
    transposed: ClassVar[bool]  # whether the first axis of W is the input's channels

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
        if self.b.shape != (self.channels()[1],):
            raise ValueError(
                f"{self!r}: b has shape {self.b.shape}, expected {self.channels()[1:]}"
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
        """Return a layer whose W is drawn by `init` and whose b is zero.

        Parameters
        ----------
        channels, filters : int
            Numbers of channels of the input and of the output.
        kernel : int or pair of int
            Size KH, KW of the kernels.
        rng : numpy.random.Generator
            Source of the random numbers.
        stride, pad, dilation : int or pair of int
            As for the class.
        groups : int, default 1
            As for the class.
        init : Initializer, default he_normal
            Distribution of W.
        dtype : dtype, default float32
            Dtype of W and b.

        Raises
        ------
        TypeError, ValueError
            If an argument is out of range, or `groups` does not divide `channels` and `filters`.
        """
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
        if cls.transposed:  # an output gathers only every s-th weight, down and right
            lengths, fan_in = (channels, outputs), max(1, fan_in // math.prod(step))
        rng, dtype = as_generator(rng, f"{name}: rng"), as_float_dtype(dtype, f"{name}: dtype")
        W = init((*lengths, *size), fan_in, outputs * taps, rng, dtype)
        return cls(W, np.zeros(filters, dtype), stride, pad, dilation, groups)

    def channels(self) -> Pair:
        """Return the numbers of channels of input and output."""
        first, second = len(self.W), self.W.shape[1] * self.groups
        return (first, second) if self.transposed else (second, first)

    def output_size(self, size: Pair) -> Pair:
        """Return the size of the output for an image of `size`."""
        raise NotImplementedError

    def expects(self, shape: tuple[int, ...]) -> str:
        channels = self.channels()[0]
        if len(shape) != 4 or shape[1] != channels:
            return f"(N, {channels}, H, W)"
        if min(self.output_size(shape[2:])) < 1:
            return f"(N, {channels}, H, W) with images large enough for one output"
        return ""

    def __repr__(self) -> str:
        (inputs, outputs), window = self.channels(), self.window
        text = f"{type(self).__name__}({inputs} -> {outputs}, {_times(window.size)}"
        if window.stride != (1, 1):
            text += f", stride={_times(window.stride)}"
        if self.pad != (0, 0):
            text += f", pad={_times(self.pad) if isinstance(self.pad, tuple) else repr(self.pad)}"
        if window.dilation != (1, 1):
            text += f", dilation={_times(window.dilation)}"
        return text + (f", groups={self.groups})" if self.groups != 1 else ")")


def _window(name: str, size: Any, stride: Any, pad: Any, dilation: Any) -> Window:
    stride, dilation = pair(name, "stride", stride, 1), pair(name, "dilation", dilation, 1)
    if pad != "same":
        before = after = pair(name, "pad", pad, 0)
        return Window(size, stride, dilation, before, after)
    if stride != (1, 1):
        raise ValueError(f"{name}: pad='same' with stride {stride}, expected stride 1")
    height, width = ((k - 1) * d for k, d in zip(size, dilation, strict=True))
    before = height // 2, width // 2
    return Window(size, stride, dilation, before, (height - before[0], width - before[1]))


def _times(value: Pair) -> str:
    return f"{value[0]}x{value[1]}"
