"""GRU: gated recurrent units."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..activations import sigmoid
from ..base import Array
from ..checks import as_parameter
from ..half import total
from .steps import Recurrent, batch_major, check_weights, initial_states, split_dout, time_major


class GRU(Recurrent):
    """``h_t = (1 - z) n + z h_{t-1}``, with a new state n and two gates from x_t and h_{t-1}.

    With ``a = x_t @ Wx + bx`` and ``u = h_{t-1} @ Wh + bh``, each r, z, n side by side:
    ``r = sigmoid(a_r + u_r)``, ``z = sigmoid(a_z + u_z)``, ``n = tanh(a_n + r u_n)``. Backward
    goes from the last step to the first, with the gradient of ``h_t`` from above and from step
    t + 1::

        dn, dz = dh_t (1 - z), dh_t (h_{t-1} - n)
        da_n = dn (1 - n^2)               du_n = da_n r
        da_r = du_r = da_n u_n r (1 - r)  da_z = du_z = dz z (1 - z)
        dx_t = da @ Wx.T                  dh_{t-1} gains dh_t z + du @ Wh.T

    ``dWx``, ``dbx``, ``dWh`` and ``dbh`` are the sums over all steps of ``x_t.T @ da``, ``da``,
    ``h_{t-1}.T @ du`` and ``du``. Cho et al. (2014), Learning Phrase Representations using RNN
    Encoder-Decoder, https://arxiv.org/abs/1406.1078, with the reset gate r after the product, as
    in PyTorch.

    Parameters
    ----------
    Wx : array of shape (D, 3H)
        Weights of the input, of r, z, n; a float array is used in place: training changes it.
    Wh : array of shape (H, 3H)
        Weights of the previous state.
    bx, bh : arrays of shape (3H,)
        Biases of the input and of the state.
    return_state : bool, default False
        Whether forward returns ``(hs, h)``, with the last state h of shape (N, H), instead of
        ``hs``. Backward then takes a tuple of as many gradients.

    Raises
    ------
    ValueError
        If the shapes of the arrays do not match.

    Notes
    -----
    ``forward(x)`` maps (N, T, D) to ``hs`` (N, T, H) and starts from zeros. ``forward(x, h0)``
    starts from h0 (N, H), and backward then returns ``(dx, dh0)``.
    """

    param_names = ("Wx", "Wh", "bx", "bh")
    bias_names = ("bx", "bh")
    first_biases = (0, 0, 0)

    def __init__(
        self,
        Wx: ArrayLike,
        Wh: ArrayLike,
        bx: ArrayLike,
        bh: ArrayLike,
        *,
        return_state: bool = False,
    ) -> None:
        self.Wx, self.Wh = as_parameter(Wx, "GRU: Wx"), as_parameter(Wh, "GRU: Wh")
        self.bx, self.bh = as_parameter(bx, "GRU: bx"), as_parameter(bh, "GRU: bh")
        check_weights("GRU", 3, self.Wx, self.Wh, bx=self.bx, bh=self.bh)
        self.return_state = return_state

    def forward(self, x: Any, h0: Any = None) -> Any:
        x = time_major(self.as_input(x))
        steps, n, D = x.shape
        H = len(self.Wh)
        a = (x.reshape(steps * n, D) @ self.Wx + self.bx).reshape(steps, n, 3 * H)
        start = initial_states(self, {"h0": h0}, np.zeros_like(a, shape=(n, H)))
        self.x, self.given = x, h0 is not None
        self.gates = np.empty_like(a, shape=(steps, n, 2 * H))
        self.new = np.empty_like(a, shape=(steps, n, H))
        self.u_n = np.empty_like(self.new)
        self.h = h = np.empty_like(a, shape=(steps + 1, n, H))
        (h[0],) = start
        for t in range(steps):
            u = h[t] @ self.Wh + self.bh
            self.gates[t] = sigmoid(a[t, :, : 2 * H] + u[:, : 2 * H])
            r, z = self.gates[t, :, :H], self.gates[t, :, H:]
            self.u_n[t] = u[:, 2 * H :]
            np.tanh(a[t, :, 2 * H :] + r * self.u_n[t], out=self.new[t])
            h[t + 1] = (1 - z) * self.new[t] + z * h[t]
        hs = batch_major(h[1:])
        return (hs, h[-1]) if self.return_state else hs

    def backward(self, dout: Any) -> Any:
        da, dh0 = self._through_time(dout)
        dx = batch_major((da @ self.Wx.T).reshape(self.x.shape))
        return (dx, dh0) if self.given else dx

    def backward_params(self, dout: Any) -> None:
        """Assign the gradients of the parameters, without that of x."""
        self._through_time(dout)

    def _through_time(self, dout: Any) -> tuple[Array, Array]:
        """Return ``da`` (T N, 3H) and ``dh0``, and assign the parameters' gradients."""
        x, h = self.x, self.h
        steps, n, H = h[1:].shape
        dhs, *dlast = split_dout(self, dout, h[1:], int(self.return_state))
        dh = dlast[0] if dlast else np.zeros_like(h[0])
        da = np.empty_like(h, shape=(steps, n, 3, H))
        du = np.empty_like(da)
        for t in reversed(range(steps)):
            r, z = self.gates[t, :, :H], self.gates[t, :, H:]
            new, u_n = self.new[t], self.u_n[t]
            dh = dhs[t] + dh
            da_n = dh * (1 - z) * (1 - new * new)
            da[t, :, 0] = du[t, :, 0] = da_n * u_n * r * (1 - r)
            da[t, :, 1] = du[t, :, 1] = dh * (h[t] - new) * z * (1 - z)
            da[t, :, 2], du[t, :, 2] = da_n, da_n * r
            dh = dh * z + du[t].reshape(n, 3 * H) @ self.Wh.T
        da, du = da.reshape(steps * n, 3 * H), du.reshape(steps * n, 3 * H)
        self.dWx, self.dbx = x.reshape(steps * n, len(self.Wx)).T @ da, total(da, 0)
        self.dWh, self.dbh = h[:-1].reshape(steps * n, H).T @ du, total(du, 0)
        return da, dh
