"""An LSTM and a GPT as textbooks write them: step by step and head by head, one array each."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import erf

from .textbook import Adam
from .workloads import Array, Run, Workload


def prepare(workload: Workload, weights: list[Array], x: Array, t: Array) -> Run:
    """Train with layers that each do one thing after the other, as the formulas stand."""
    arrays = iter(weights)
    net: list[Any] = []
    for kind, *sizes in workload.layers:
        if kind == "last":
            net.append(Last())
        elif kind == "block":
            net.append(Block(sizes[1], [next(arrays) for _ in range(12)]))
        else:
            cls, number = LAYERS[kind]
            net.append(cls(*(next(arrays) for _ in range(number))))
    adam = Adam(workload.optimizer[1])

    def step(x: Array, t: Array) -> Any:
        y = x
        for layer in net:
            y = layer.forward(y)
        loss, dout = cross_entropy(y.reshape(-1, y.shape[-1]), t.reshape(-1))
        dout = dout.reshape(y.shape)
        for layer in reversed(net):
            dout = layer.backward(dout)
        adam.update(weights, [g for layer in net for g in layer.grads])
        return loss

    def run(epoch: list[Array]) -> list[Any]:
        return [step(x[rows], t[rows]) for rows in epoch]

    return run


def cross_entropy(y: Array, t: Array) -> tuple[Any, Array]:
    """Return the loss of logits (N, K), and their gradient."""
    p = np.exp(y - y.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    rows = np.arange(len(t))
    loss = -np.mean(np.log(p[rows, t] + 1e-7))
    dy = p.copy()
    dy[rows, t] -= 1
    return loss, dy / len(t)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


class Embedding:
    """A row of W for each word."""

    def __init__(self, W: Array) -> None:
        self.W = W

    def forward(self, x: Array) -> Array:
        """Pick the rows."""
        self.x = x
        return self.W[x]

    def backward(self, dout: Array) -> None:
        """Add each gradient to its row."""
        dW = np.zeros_like(self.W)
        np.add.at(dW, self.x, dout)
        self.grads = [dW]


class Position:
    """A row of W added to each step."""

    def __init__(self, W: Array) -> None:
        self.W = W

    def forward(self, x: Array) -> Array:
        """Add."""
        return x + self.W

    def backward(self, dout: Array) -> Array:
        """Sum over the batch."""
        self.grads = [dout.sum(axis=0)]
        return dout


class LSTM:
    """One step of all four gates after the other."""

    def __init__(self, Wx: Array, Wh: Array, b: Array) -> None:
        self.Wx, self.Wh, self.b = Wx, Wh, b

    def forward(self, x: Array) -> Array:
        """Go from the first step to the last."""
        n, steps, _ = x.shape
        H = len(self.Wh)
        self.x, self.seen = x, []
        h, c = np.zeros((n, H), x.dtype), np.zeros((n, H), x.dtype)
        hs = np.empty((n, steps, H), x.dtype)
        for t in range(steps):
            a = np.dot(x[:, t], self.Wx) + np.dot(h, self.Wh) + self.b
            i, f = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H])
            g, o = np.tanh(a[:, 2 * H : 3 * H]), sigmoid(a[:, 3 * H :])
            c_next = f * c + i * g
            h_next = o * np.tanh(c_next)
            self.seen.append((h, c, i, f, g, o, c_next))
            h, c = h_next, c_next
            hs[:, t] = h
        return hs

    def backward(self, dout: Array) -> Array:
        """Go from the last step to the first, and add up the gradients of the weights."""
        dx = np.empty_like(self.x)
        dWx, dWh, db = np.zeros_like(self.Wx), np.zeros_like(self.Wh), np.zeros_like(self.b)
        dh, dc = np.zeros_like(dout[:, 0]), np.zeros_like(dout[:, 0])
        for t in reversed(range(len(self.seen))):
            h, c, i, f, g, o, c_next = self.seen[t]
            dh = dh + dout[:, t]
            tanh_c = np.tanh(c_next)
            dc = dc + dh * o * (1 - tanh_c**2)
            di, df = dc * g * i * (1 - i), dc * c * f * (1 - f)
            dg, do = dc * i * (1 - g**2), dh * tanh_c * o * (1 - o)
            da = np.hstack([di, df, dg, do])
            dWx += np.dot(self.x[:, t].T, da)
            dWh += np.dot(h.T, da)
            db += da.sum(axis=0)
            dx[:, t] = np.dot(da, self.Wx.T)
            dh, dc = np.dot(da, self.Wh.T), dc * f
        self.grads = [dWx, dWh, db]
        return dx


class Last:
    """The last step."""

    grads: tuple[Array, ...] = ()

    def forward(self, x: Array) -> Array:
        """Pick it."""
        self.shape = x.shape
        return x[:, -1]

    def backward(self, dout: Array) -> Array:
        """Zeros elsewhere."""
        dx = np.zeros(self.shape, dout.dtype)
        dx[:, -1] = dout
        return dx


class Affine:
    """x W + b."""

    def __init__(self, W: Array, b: Array) -> None:
        self.W, self.b = W, b

    def forward(self, x: Array) -> Array:
        """One product."""
        self.rows = x.reshape(-1, x.shape[-1])
        out = np.dot(self.rows, self.W) + self.b
        return out.reshape(*x.shape[:-1], -1)

    def backward(self, dout: Array) -> Array:
        """Two products."""
        rows = dout.reshape(-1, dout.shape[-1])
        self.grads = [np.dot(self.rows.T, rows), rows.sum(axis=0)]
        return np.dot(rows, self.W.T).reshape(*dout.shape[:-1], -1)


class LayerNorm:
    """gamma (x - mean) / std + beta."""

    def __init__(self, gamma: Array, beta: Array) -> None:
        self.gamma, self.beta = gamma, beta

    def forward(self, x: Array) -> Array:
        """Mean and variance of each row."""
        self.std = np.sqrt(np.var(x, axis=-1, keepdims=True) + 1e-5)
        self.xhat = (x - np.mean(x, axis=-1, keepdims=True)) / self.std
        return self.gamma * self.xhat + self.beta

    def backward(self, dout: Array) -> Array:
        """Less the parts along the mean and along xhat."""
        self.grads = [(dout * self.xhat).sum(axis=(0, 1)), dout.sum(axis=(0, 1))]
        g = dout * self.gamma
        along = np.mean(g * self.xhat, axis=-1, keepdims=True)
        return (g - np.mean(g, axis=-1, keepdims=True) - self.xhat * along) / self.std


class GELU:
    """x Phi(x)."""

    def forward(self, x: Array) -> Array:
        """Phi by the error function."""
        self.x = x
        self.Phi = (1 + erf(x / np.float32(np.sqrt(2)))) / 2
        return x * self.Phi

    def backward(self, dout: Array) -> Array:
        """Phi(x) + x phi(x)."""
        phi = np.exp(-(self.x**2) / 2) / np.float32(np.sqrt(2 * np.pi))
        return dout * (self.Phi + self.x * phi)


class Attention:
    """One head after the other, each step sees those up to it."""

    def __init__(self, heads: int, weights: list[Array]) -> None:
        self.heads = heads
        self.qkv, self.out = Affine(*weights[:2]), Affine(*weights[2:])

    def forward(self, x: Array) -> Array:
        """Softmax of q k, masked, times v."""
        q, k, v = np.split(self.qkv.forward(x), 3, axis=-1)
        parts = [np.split(array, self.heads, axis=-1) for array in (q, k, v)]
        hidden = (1 - np.tri(x.shape[1], dtype=x.dtype)) * -1e10
        self.seen, ys = [], []
        for q, k, v in zip(*parts, strict=True):
            s = q @ k.swapaxes(1, 2) / np.float32(np.sqrt(q.shape[-1])) + hidden
            p = np.exp(s - s.max(axis=-1, keepdims=True))
            p /= p.sum(axis=-1, keepdims=True)
            self.seen.append((q, k, v, p))
            ys.append(p @ v)
        return self.out.forward(np.concatenate(ys, axis=-1))

    def backward(self, dout: Array) -> Array:
        """The same of each head."""
        dys = np.split(self.out.backward(dout), self.heads, axis=-1)
        found = []
        for (q, k, v, p), dy in zip(self.seen, dys, strict=True):
            dp = dy @ v.swapaxes(1, 2)
            ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True)) / np.float32(np.sqrt(q.shape[-1]))
            found.append((ds @ k, ds.swapaxes(1, 2) @ q, p.swapaxes(1, 2) @ dy))
        dqs, dks, dvs = zip(*found, strict=True)
        dx = self.qkv.backward(np.concatenate([*dqs, *dks, *dvs], axis=-1))
        self.grads = self.qkv.grads + self.out.grads
        return dx


class Block:
    """x + attention(norm(x)), and then x + mlp(norm(x))."""

    def __init__(self, heads: int, weights: list[Array]) -> None:
        self.attention: list[Any] = [LayerNorm(*weights[:2]), Attention(heads, weights[2:6])]
        up, down = Affine(*weights[8:10]), Affine(*weights[10:])
        self.mlp: list[Any] = [LayerNorm(*weights[6:8]), up, GELU(), down]

    def forward(self, x: Array) -> Array:
        """Both, with the input added."""
        for part in (self.attention, self.mlp):
            y = x
            for layer in part:
                y = layer.forward(y)
            x = x + y
        return x

    def backward(self, dout: Array) -> Array:
        """Both, the last first."""
        for part in (self.mlp, self.attention):
            d = dout
            for layer in reversed(part):
                d = layer.backward(d)
            dout = dout + d
        parts = (*self.attention, *self.mlp)
        self.grads = [g for layer in parts if not isinstance(layer, GELU) for g in layer.grads]
        return dout


LAYERS: dict[str, tuple[Any, int]] = {
    "embedding": (Embedding, 1),
    "position": (Position, 1),
    "lstm": (LSTM, 3),
    "affine": (Affine, 2),
    "norm": (LayerNorm, 2),
}
