"""LSTM: long short-term memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..activations import sigmoid
from ..base import Array
from ..checks import as_parameter
from .steps import Recurrent, batch_major, check_weights, initial_states, split_dout


class LSTM(Recurrent):
    """``c_t = f c_{t-1} + i g``, ``h_t = o tanh(c_t)``, with four gates from x_t and h_{t-1}.

    ``a_t = x_t @ Wx + h_{t-1} @ Wh + b`` holds the gates side by side: ``i = sigmoid(a_i)``,
    ``f = sigmoid(a_f)``, ``g = tanh(a_g)``, ``o = sigmoid(a_o)``. Backward goes from the last step
    to the first, with the gradients of ``h_t`` and ``c_t`` from above and from step t + 1::

        do = dh_t tanh(c_t)               dc_t gains dh_t o (1 - tanh(c_t)^2)
        di, df, dg = dc_t g, dc_t c_{t-1}, dc_t i                  dc_{t-1} = dc_t f
        da = di i (1 - i), df f (1 - f), dg (1 - g^2), do o (1 - o)
        dx_t = da @ Wx.T                                           dh_{t-1} gains da @ Wh.T

    ``dWx``, ``dWh`` and ``db`` are the sums over all steps of ``x_t.T @ da``, ``h_{t-1}.T @ da``
    and ``da``. Hochreiter, Schmidhuber (1997), Long Short-Term Memory,
    https://doi.org/10.1162/neco.1997.9.8.1735; the forget gate f: Gers, Schmidhuber, Cummins
    (2000), Learning to Forget, https://doi.org/10.1162/089976600300015015

    Parameters
    ----------
    Wx : array of shape (D, 4H)
        Weights of the input, of the gates i, f, g, o; a float array is used in place: training
        changes it.
    Wh : array of shape (H, 4H)
        Weights of the previous state h.
    b : array of shape (4H,)
        Bias.
    return_state : bool, default False
        Whether forward returns ``(hs, h, c)``, with the last states h and c of shape (N, H),
        instead of ``hs``. Backward then takes a tuple of as many gradients.

    Raises
    ------
    ValueError
        If the shapes of the arrays do not match.

    Notes
    -----
    ``forward(x)`` maps (N, T, D) to ``hs`` (N, T, H) and starts from zeros.
    ``forward(x, h0, c0)`` starts from h0 and c0 (N, H), and backward then returns
    ``(dx, dh0, dc0)``.

    ``z_t = (x_t, h_{t-1}, 1)`` is kept side by side in memory, so that ``a_t`` is one product, with
    Wx, Wh and b one below the other, and all their gradients are one product over all steps. There
    the gates are in the order i, f, o, g: the three sigmoids are computed as one.

    `random` sets b to 0, but to 1 for the forget gate. Jozefowicz, Zaremba, Sutskever (2015),
    https://proceedings.mlr.press/v37/jozefowicz15.html
    """

    param_names = ("Wx", "Wh", "b")
    bias_names = ("b",)
    first_biases = (0, 1, 0, 0)  # at first the layer remembers

    def __init__(
        self, Wx: ArrayLike, Wh: ArrayLike, b: ArrayLike, *, return_state: bool = False
    ) -> None:
        self.Wx, self.Wh = as_parameter(Wx, "LSTM: Wx"), as_parameter(Wh, "LSTM: Wh")
        self.b = as_parameter(b, "LSTM: b")
        check_weights("LSTM", 4, self.Wx, self.Wh, b=self.b)
        self.return_state = return_state

    def forward(self, x: Any, h0: Any = None, c0: Any = None) -> Any:
        x = self.as_input(x)
        n, steps, D = x.shape
        H = len(self.Wh)
        W = np.concatenate([self.Wx, self.Wh, self.b[np.newaxis]])
        W = W.reshape(-1, 4, H)[:, [0, 1, 3, 2]].reshape(W.shape)  # i, f, o, g
        zero = np.zeros_like(x, np.result_type(x, W), shape=(n, H))
        start = initial_states(self, {"h0": h0, "c0": c0}, zero)
        self.z = z = np.ones_like(zero, shape=(steps + 1, n, D + H + 1))
        z[:-1, :, :D], h = x.swapaxes(0, 1), z[:, :, D:-1]
        self.gates = np.empty_like(z, shape=(steps, 4, n, H))
        self.c = c = np.empty_like(z, shape=(steps + 1, n, H))
        self.tanh_c = np.empty_like(c[1:])
        self.given = h0 is not None or c0 is not None
        h[0], c[0] = start
        for t in range(steps):
            a = _gates(z[t] @ W)
            self.gates[t, :3] = sigmoid(a[:3])
            np.tanh(a[3], out=self.gates[t, 3])
            i, f, o, g = self.gates[t]
            c[t + 1] = f * c[t] + i * g
            np.tanh(c[t + 1], out=self.tanh_c[t])
            np.multiply(o, self.tanh_c[t], out=h[t + 1])
        hs = batch_major(h[1:])
        return (hs, h[-1], c[-1]) if self.return_state else hs

    def backward(self, dout: Any) -> Any:
        da, dh0, dc0 = self._through_time(dout)
        steps, n, _ = self.tanh_c.shape
        dx = batch_major((da @ self.Wx.T).reshape(steps, n, len(self.Wx)))
        return (dx, dh0, dc0) if self.given else dx

    def backward_params(self, dout: Any) -> None:
        """Assign the gradients of the parameters, without that of x."""
        self._through_time(dout)

    def _through_time(self, dout: Any) -> tuple[Array, Array, Array]:
        """Return ``da`` (T N, 4H), ``dh0``, ``dc0``, and assign the parameters' gradients."""
        z, c, D = self.z, self.c, len(self.Wx)
        dhs, *dlast = split_dout(self, dout, c[1:], 2 * self.return_state)
        dh, dc = dlast or (np.zeros_like(c[0]), np.zeros_like(c[0]))
        das = np.empty_like(c, shape=(*dhs.shape[:2], 4 * len(self.Wh)))
        for t in reversed(range(len(das))):
            i, f, o, g = self.gates[t]
            da_i, da_f, da_g, da_o = _gates(das[t])
            tanh_c = self.tanh_c[t]
            dh = dhs[t] + dh
            dc = dc + dh * o * (1 - tanh_c * tanh_c)
            np.multiply(dc * g, i * (1 - i), out=da_i)
            np.multiply(dc * c[t], f * (1 - f), out=da_f)
            np.multiply(dc * i, 1 - g * g, out=da_g)
            np.multiply(dh * tanh_c, o * (1 - o), out=da_o)
            dc = dc * f
            dh = das[t] @ self.Wh.T
        da = das.reshape(-1, das.shape[-1])  # all steps in one product
        dW = z[:-1].reshape(len(da), z.shape[-1]).T @ da
        self.dWx, self.dWh, self.db = dW[:D], dW[D:-1], dW[-1]
        return da, dh, dc


def _gates(a: Array) -> Array:
    """Return a (N, 4H) as four views (N, H), one for each gate."""
    n, width = a.shape
    return a.reshape(n, 4, width // 4).swapaxes(0, 1)
