"""A convolution net as textbooks write it: im2col in the order (N, C, H, W), weights in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from .workloads import Array, Run, Workload


def prepare(workload: Workload, weights: list[Array], x: Array, t: Array) -> Run:
    """Train with layers that each do one thing after the other, as the formulas stand."""
    arrays = iter(w.astype(np.float64) for w in weights)
    net: list[Any] = []
    for kind, *sizes in workload.layers:
        if kind == "convolution":
            net.append(Convolution(next(arrays), next(arrays), sizes[-1]))
        elif kind == "affine":
            net.append(Affine(next(arrays), next(arrays)))
        else:
            net.append({"pool": Pooling, "relu": ReLU, "flatten": Flatten}[kind](*sizes))
    adam = Adam(workload.optimizer[1])

    def step(x: Array, t: Array) -> Any:
        y = x
        for layer in net:
            y = layer.forward(y)
        p = np.exp(y - y.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        rows = np.arange(len(t))
        loss = -np.mean(np.log(p[rows, t] + 1e-7))
        dout = p.copy()
        dout[rows, t] -= 1
        dout /= len(t)
        for layer in reversed(net):
            dout = layer.backward(dout)
        trained = [layer for layer in net if hasattr(layer, "W")]
        adam.update(
            [a for layer in trained for a in (layer.W, layer.b)],
            [g for layer in trained for g in (layer.dW, layer.db)],
        )
        return loss

    def run(epoch: list[Array]) -> list[Any]:
        return [step(x[rows], t[rows]) for rows in epoch]

    return run


def im2col(x: Array, size: int, stride: int, pad: int) -> Array:
    """Lay each window of the images in a row: (N * OH * OW, C * size * size)."""
    n, c, h, w = x.shape
    out_h, out_w = (h + 2 * pad - size) // stride + 1, (w + 2 * pad - size) // stride + 1
    x = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)])
    col = np.zeros((n, c, size, size, out_h, out_w))
    for i in range(size):
        for j in range(size):
            rows = slice(i, i + stride * out_h, stride)
            cols = slice(j, j + stride * out_w, stride)
            col[:, :, i, j] = x[:, :, rows, cols]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(n * out_h * out_w, -1)


def col2im(col: Array, shape: tuple[int, ...], size: int, stride: int, pad: int) -> Array:
    """Add the rows of `im2col` back to the pixels they came from."""
    n, c, h, w = shape
    out_h, out_w = (h + 2 * pad - size) // stride + 1, (w + 2 * pad - size) // stride + 1
    col = col.reshape(n, out_h, out_w, c, size, size).transpose(0, 3, 4, 5, 1, 2)
    x = np.zeros((n, c, h + 2 * pad, w + 2 * pad))
    for i in range(size):
        for j in range(size):
            rows = slice(i, i + stride * out_h, stride)
            cols = slice(j, j + stride * out_w, stride)
            x[:, :, rows, cols] += col[:, :, i, j]
    return x[:, :, pad : pad + h, pad : pad + w]


class Convolution:
    """Each window times each filter, by one matrix product."""

    def __init__(self, W: Array, b: Array, pad: int) -> None:
        self.W, self.b, self.pad = W, b, pad

    def forward(self, x: Array) -> Array:
        """Unfold, multiply, fold."""
        filters, _, size, _ = self.W.shape
        self.shape = x.shape
        side = x.shape[2] + 2 * self.pad - size + 1
        self.col = im2col(x, size, 1, self.pad)
        out = np.dot(self.col, self.W.reshape(filters, -1).T) + self.b
        return out.reshape(len(x), side, side, filters).transpose(0, 3, 1, 2)

    def backward(self, dout: Array) -> Array:
        """Unfold dout likewise."""
        filters, _, size, _ = self.W.shape
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, filters)
        self.db = np.sum(dout, axis=0)
        self.dW = np.dot(self.col.T, dout).T.reshape(self.W.shape)
        return col2im(np.dot(dout, self.W.reshape(filters, -1)), self.shape, size, 1, self.pad)


class Pooling:
    """The maximum of each window."""

    def __init__(self, size: int) -> None:
        self.size = size

    def forward(self, x: Array) -> Array:
        """Unfold, take the maximum of each row."""
        n, c, h, w = self.shape = x.shape
        col = im2col(x, self.size, self.size, 0).reshape(-1, self.size**2)
        self.winner = np.argmax(col, axis=1)
        out = np.max(col, axis=1)
        return out.reshape(n, h // self.size, w // self.size, c).transpose(0, 3, 1, 2)

    def backward(self, dout: Array) -> Array:
        """Hand each gradient to the winner."""
        dout = dout.transpose(0, 2, 3, 1).ravel()
        col = np.zeros((dout.size, self.size**2))
        col[np.arange(dout.size), self.winner] = dout
        return col2im(col, self.shape, self.size, self.size, 0)


class Affine:
    """x W + b."""

    def __init__(self, W: Array, b: Array) -> None:
        self.W, self.b = W, b

    def forward(self, x: Array) -> Array:
        """One product."""
        self.x = x
        return np.dot(x, self.W) + self.b

    def backward(self, dout: Array) -> Array:
        """Two products."""
        self.dW, self.db = np.dot(self.x.T, dout), np.sum(dout, axis=0)
        return np.dot(dout, self.W.T)


class ReLU:
    """The positive part."""

    def forward(self, x: Array) -> Array:
        """Remember where x is not positive."""
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout: Array) -> Array:
        """Let nothing through there."""
        dout[self.mask] = 0
        return dout


class Flatten:
    """One row for each image."""

    def forward(self, x: Array) -> Array:
        """Remember the shape."""
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dout: Array) -> Array:
        """Put the shape back."""
        return dout.reshape(self.shape)


class Adam:
    """Kingma and Ba's rule, as in the paper, with the corrections of both moments in the rate."""

    def __init__(self, lr: float) -> None:
        self.lr, self.t = lr, 0
        self.m: list[Array] = []
        self.v: list[Array] = []

    def update(self, params: list[Array], grads: list[Array]) -> None:
        """One step."""
        if not self.m:
            self.m = [np.zeros_like(p) for p in params]
            self.v = [np.zeros_like(p) for p in params]
        self.t += 1
        root = np.sqrt(1 - 0.999**self.t)
        rate = self.lr * root / (1 - 0.9**self.t)
        for p, g, m, v in zip(params, grads, self.m, self.v, strict=True):
            m += 0.1 * (g - m)
            v += 0.001 * (g**2 - v)
            p -= rate * m / (np.sqrt(v) + root * 1e-8)
