"""Attention and SelfAttention: each position attends to the positions that matter to it."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..base import Array, Layer
from ..checks import as_count, as_float_dtype, as_generator, as_parameter
from ..half import total, wide
from ..initializers import Initializer, xavier_uniform


class Attention(Layer):
    """``y = p @ v``, ``p = softmax(q @ k.T / sqrt(d))``: a weighted mean of the values per query.

    With ``dp = dout @ v.T`` and ``ds = p (dp - sum(dp p))``, sums over the keys:
    ``dv = p.T @ dout``, ``dq = ds @ k / sqrt(d)``, ``dk = ds.T @ q / sqrt(d)``. Vaswani et al.
    (2017), Attention Is All You Need, https://arxiv.org/abs/1706.03762

    Attributes
    ----------
    weights : array of shape (..., T, S)
        p of the latest forward: how much query t attends to key s.

    Raises
    ------
    TypeError, ValueError
        From `forward`, if the shapes do not match, or the mask is not boolean.

    Notes
    -----
    ``forward(queries, keys, values)`` takes (..., T, d), (..., S, d) and (..., S, dv), with equal
    leading axes such as (N, heads), and returns (..., T, dv). ``forward(queries, keys, values,
    mask)`` takes a boolean mask too, of a shape that broadcasts to (..., T, S): True is seen. A
    query that sees nothing gets 0. The mask's gradient is None.
    """

    def expects(self, shape: tuple[int, ...]) -> str:
        return "" if len(shape) >= 2 and shape[-1] else "(..., T, d)"

    def forward(self, queries: Any, keys: Any, values: Any, mask: Any = None) -> Array:
        q, k, v = self._fitting_inputs(queries, keys, values)
        dtype = np.result_type(q, k, v)
        q, k, v = wide(q), wide(k), wide(v)
        s = q @ k.mT
        s *= 1 / math.sqrt(q.shape[-1])
        if mask is not None:
            s = np.where(self._seen(mask, s), s, -np.inf)
        self.q, self.k, self.v, self.dtype, self.masked = q, k, v, dtype, mask is not None
        greatest = s.max(axis=-1, keepdims=True)
        s -= np.where(np.isneginf(greatest), 0, greatest)  # exp does not overflow
        p = np.exp(s, out=s)
        total = p.sum(axis=-1, keepdims=True)
        p /= np.where(total == 0, 1, total)  # 0 where a query sees nothing
        self.weights, self.y = p, p @ v
        return self.y.astype(dtype, copy=False)

    def backward(self, dout: Any) -> Any:
        p, dout = self.weights, wide(self.as_dout(dout, self.y.shape))
        ds = dout @ self.v.mT
        ds -= np.einsum("...d,...d->...", dout, self.y)[..., np.newaxis]  # sum(dp p) is dout . y
        ds *= p
        ds *= 1 / math.sqrt(self.q.shape[-1])
        dq, dk, dv = (
            gradient.astype(self.dtype, copy=False)
            for gradient in (ds @ self.k, ds.mT @ self.q, p.mT @ dout)
        )
        return (dq, dk, dv, None) if self.masked else (dq, dk, dv)

    def _fitting_inputs(self, queries: Any, keys: Any, values: Any) -> tuple[Array, Array, Array]:
        q = self.as_input(queries, "queries")
        k = self.as_real(keys, "keys", queries=q)
        v = self.as_real(values, "values", queries=q)
        *lead, _, d = q.shape
        if k.ndim != q.ndim or k.shape != (*lead, k.shape[-2], d) or not k.shape[-2]:
            expected = ", ".join(map(str, (*lead, "S", d)))
            raise ValueError(f"{self!r}: keys has shape {k.shape}, expected ({expected})")
        if v.ndim != q.ndim or v.shape[:-1] != k.shape[:-1]:
            expected = ", ".join(map(str, (*k.shape[:-1], "dv")))
            raise ValueError(f"{self!r}: values has shape {v.shape}, expected ({expected})")
        return q, k, v

    def _seen(self, mask: Any, s: Array) -> Array:
        mask = np.asarray(mask, like=s)
        if mask.dtype != bool:
            raise TypeError(
                f"{self!r}: mask is of dtype {mask.dtype}, expected bool (True is seen)"
            )
        try:
            return np.broadcast_to(mask, s.shape)
        except ValueError:
            raise ValueError(
                f"{self!r}: mask has shape {mask.shape}, expected one that broadcasts to {s.shape}"
            ) from None


class SelfAttention(Layer):
    """``out = y @ Wo + bo``, ``y = softmax(q @ k.T / sqrt(d)) @ v``, ``q, k, v = x @ W + b``.

    Each head has its own ``d = D / heads`` numbers of q, k, v and y. With ``dy = dout @ Wo.T``,
    `Attention` gives ``da``, the gradients of q, k and v side by side: ``dx = da @ W.T``,
    ``dW = x.T @ da``, ``db`` = sum of ``da``; ``dWo = y.T @ dout``, ``dbo`` = sum of ``dout``.
    Vaswani et al. (2017), Attention Is All You Need, https://arxiv.org/abs/1706.03762

    Parameters
    ----------
    W : array of shape (D, 3D)
        Weights of q, k, v, side by side; a float array is used in place: training changes it.
    b : array of shape (3D,)
        Bias of q, k, v.
    Wo : array of shape (D, D)
        Weights of the output.
    bo : array of shape (D,)
        Bias of the output.
    heads : int
        Number of heads, a divisor of D.
    causal : bool, default False
        Whether step t sees the steps up to t only.

    Attributes
    ----------
    weights : array of shape (N, heads, T, T)
        p of the latest forward: how much step t attends to step s.

    Raises
    ------
    ValueError
        If the shapes of the arrays do not match, or `heads` does not divide D.

    Notes
    -----
    ``forward(x)`` maps (N, T, D) to (N, T, D). ``forward(x, valid)`` takes booleans (N, T) too:
    True is seen, and False hides a step from all others, as for padding. A step that sees
    nothing has weights 0. The gradient of `valid` is None.
    """

    param_names = ("W", "b", "Wo", "bo")
    part_names = ("attention",)

    def __init__(
        self,
        W: ArrayLike,
        b: ArrayLike,
        Wo: ArrayLike,
        bo: ArrayLike,
        heads: int,
        *,
        causal: bool = False,
    ) -> None:
        name = "SelfAttention"
        self.W, self.b = as_parameter(W, f"{name}: W"), as_parameter(b, f"{name}: b")
        self.Wo, self.bo = as_parameter(Wo, f"{name}: Wo"), as_parameter(bo, f"{name}: bo")
        self.heads, self.causal = as_count(heads, f"{name}: heads"), causal
        if self.W.ndim != 2 or self.W.shape[1] != 3 * len(self.W):
            raise ValueError(f"{name}: W has shape {self.W.shape}, expected (D, 3D)")
        D = len(self.W)
        for what, array, shape in (
            ("b", self.b, (3 * D,)),
            ("Wo", self.Wo, (D, D)),
            ("bo", self.bo, (D,)),
        ):
            if array.shape != shape:
                raise ValueError(f"{name}: {what} has shape {array.shape}, expected {shape}")
        if D % self.heads:
            raise ValueError(f"{name}: heads is {heads}, expected a divisor of the size {D}")
        self.attention = Attention()

    @classmethod
    def random(
        cls,
        size: int,
        heads: int,
        rng: np.random.Generator,
        *,
        causal: bool = False,
        init: Initializer = xavier_uniform,
        dtype: DTypeLike = np.float32,
    ) -> Self:
        """Return a layer whose W and Wo are drawn by `init`; b and bo are zero.

        Parameters
        ----------
        size : int
            Length D of x.
        heads : int
            Number of heads, a divisor of D.
        rng : numpy.random.Generator
            Source of the random numbers.
        causal : bool, default False
            Whether step t sees the steps up to t only.
        init : Initializer, default xavier_uniform
            Distribution of W and Wo.
        dtype : dtype, default float32
            Dtype of the arrays.
        """
        name = "SelfAttention.random"
        D, rng = as_count(size, f"{name}: size"), as_generator(rng, f"{name}: rng")
        dtype = as_float_dtype(dtype, f"{name}: dtype")
        W, Wo = init((D, 3 * D), D, D, rng, dtype), init((D, D), D, D, rng, dtype)
        return cls(W, np.zeros(3 * D, dtype), Wo, np.zeros(D, dtype), heads, causal=causal)

    @property
    def weights(self) -> Array:
        """The weights p of the latest forward."""
        return self.attention.weights

    def expects(self, shape: tuple[int, ...]) -> str:
        D = len(self.W)
        return "" if len(shape) == 3 and shape[1] and shape[2] == D else f"(N, T, {D})"

    def forward(self, x: Any, valid: Any = None) -> Array:
        x = self.as_input(x)
        self.masked = valid is not None
        n, steps, D = self.x_shape = x.shape
        self.x = x.reshape(-1, D)  # rows: one product for all steps, and for q, k and v
        a = (self.x @ self.W + self.b).reshape(n, steps, 3, self.heads, D // self.heads)
        q, k, v = a.transpose(2, 0, 3, 1, 4)  # each (N, heads, T, D / heads)
        y = self.attention.forward(q, k, v, self._mask(valid, n, steps))
        self.y = y.swapaxes(1, 2).reshape(-1, D)
        return (self.y @ self.Wo + self.bo).reshape(self.x_shape)

    def backward(self, dout: Any) -> Any:
        dx = (self._through_attention(dout) @ self.W.T).reshape(self.x_shape)
        return (dx, None) if self.masked else dx

    def backward_params(self, dout: Any) -> None:
        """Assign the gradients of the parameters, without that of x."""
        self._through_attention(dout)

    def _through_attention(self, dout: Any) -> Array:
        """Return ``da`` (N T, 3D), and assign the parameters' gradients."""
        n, steps, D = self.x_shape
        dout = self.as_dout(dout, self.x_shape).reshape(-1, D)
        self.dWo, self.dbo = self.y.T @ dout, total(dout, 0)
        dy = (dout @ self.Wo.T).reshape(n, steps, self.heads, D // self.heads).swapaxes(1, 2)
        dq, dk, dv, *_ = self.attention.backward(dy)
        da = np.empty_like(dout, dq.dtype, shape=(n, steps, 3, self.heads, D // self.heads))
        da_q, da_k, da_v = da.transpose(2, 0, 3, 1, 4)
        da_q[...], da_k[...], da_v[...] = dq, dk, dv
        da = da.reshape(-1, 3 * D)
        self.dW, self.db = self.x.T @ da, total(da, 0)
        return da

    def _mask(self, valid: Any, n: int, steps: int) -> Array | None:
        """Return what each step sees, of a shape that broadcasts to (N, heads, T, T)."""
        mask = np.tri(steps, dtype=bool, like=self.x) if self.causal else None
        if valid is None:
            return mask
        valid = np.asarray(valid, like=self.x)
        if valid.dtype != bool:
            raise TypeError(
                f"{self!r}: valid is of dtype {valid.dtype}, expected bool (True is seen)"
            )
        if valid.shape != (n, steps):
            raise ValueError(f"{self!r}: valid has shape {valid.shape}, expected {(n, steps)}")
        valid = valid[:, np.newaxis, np.newaxis]
        return valid if mask is None else mask & valid

    def __repr__(self) -> str:
        return f"SelfAttention({len(self.W)}, heads={self.heads}{', causal' * self.causal})"
