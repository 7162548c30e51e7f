"""The layers of the workloads as modules of PyTorch, with the common weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from .workloads import Layer

PLAIN = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU, "flatten": nn.Flatten, "pool": nn.MaxPool2d}


def layer(spec: Layer, arrays: Iterator[Any]) -> Any:
    """Return the module of a workload's layer, which takes its weights from `arrays`."""
    kind, *sizes = spec
    module: Any
    if kind in PLAIN:
        return PLAIN[kind](*sizes)
    if kind == "last":
        return Last()
    if kind == "embedding":
        module = nn.Embedding(*sizes)
        module.weight = nn.Parameter(next(arrays))
        return module
    if kind == "position":
        return Position(next(arrays))
    if kind == "lstm":
        inputs, hidden = sizes
        return LSTM(inputs, hidden, arrays)
    if kind == "block":
        size, heads = sizes
        return Block(size, heads, arrays)
    if kind == "convolution":
        channels, filters, size, pad = sizes
        module = nn.Conv2d(channels, filters, size, padding=pad)
        module.weight = nn.Parameter(next(arrays))
    elif kind == "norm":
        module = nn.LayerNorm(*sizes)
        module.weight = nn.Parameter(next(arrays))
    else:
        inputs, outputs = sizes
        module = nn.Linear(inputs, outputs, bias=kind == "affine")
        module.weight = nn.Parameter(next(arrays).T.contiguous())
    if module.bias is not None:
        module.bias = nn.Parameter(next(arrays))
    return module


class LSTM(nn.Module):
    """`torch.nn.LSTM`, of which only the states of each step are wanted."""

    def __init__(self, inputs: int, hidden: int, arrays: Iterator[Any]) -> None:
        super().__init__()
        lstm: Any = nn.LSTM(inputs, hidden, batch_first=True)
        lstm.weight_ih_l0 = nn.Parameter(next(arrays).T.contiguous())
        lstm.weight_hh_l0 = nn.Parameter(next(arrays).T.contiguous())
        lstm.bias_ih_l0 = nn.Parameter(next(arrays))
        lstm.bias_hh_l0.requires_grad_(False).zero_()  # it has two biases, we have one
        self.lstm: Any = lstm

    def forward(self, x: Any) -> Any:
        """Return the states (N, T, H)."""
        return self.lstm(x)[0]


class Last(nn.Module):
    """The last step."""

    def forward(self, x: Any) -> Any:
        """Return (N, H) of (N, T, H)."""
        return x[:, -1]


class Position(nn.Module):
    """A learned vector for each place."""

    def __init__(self, W: Any) -> None:
        super().__init__()
        self.W = nn.Parameter(W)

    def forward(self, x: Any) -> Any:
        """Add it."""
        return x + self.W[: x.shape[1]]


class Block(nn.Module):
    """A transformer's block, with PyTorch's own fused attention."""

    def __init__(self, size: int, heads: int, arrays: Iterator[Any]) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = layer(("norm", size), arrays)
        self.qkv = layer(("affine", size, 3 * size), arrays)
        self.out = layer(("affine", size, size), arrays)
        self.norm2 = layer(("norm", size), arrays)
        self.up = layer(("affine", size, 4 * size), arrays)
        self.down = layer(("affine", 4 * size, size), arrays)

    def forward(self, x: Any) -> Any:
        """``x + attention(norm(x))``, and then ``x + mlp(norm(x))``."""
        n, steps, size = x.shape
        heads = self.qkv(self.norm1(x)).view(n, steps, 3, self.heads, -1)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        y = scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(n, steps, size))
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))
