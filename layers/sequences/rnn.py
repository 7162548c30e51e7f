"""RNN: the simple recurrent layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..base import Array
from ..checks import as_parameter
from ..half import total
from .steps import Recurrent, batch_major, check_weights, initial_states, split_dout, time_major


class RNN(Recurrent):
    """``h_t = tanh(x_t @ Wx + h_{t-1} @ Wh + b)``, for t from 1 to T.

    Backward goes from the last step to the first, with the gradient ``dh_t`` of ``h_t`` from above
    and from step t + 1: ``da_t = dh_t (1 - h_t^2)``, ``dx_t = da_t @ Wx.T``, ``dh_{t-1}`` gains
    ``da_t @ Wh.T``. ``dWx``, ``dWh`` and ``db`` are the sums over all steps of ``x_t.T @ da_t``,
    ``h_{t-1}.T @ da_t`` and ``da_t``. Elman (1990), Finding Structure in Time,
    https://doi.org/10.1207/s15516709cog1402_1

    Parameters
    ----------
    Wx : array of shape (D, H)
        Weights of the input; a float array is used in place: training changes it.
    Wh : array of shape (H, H)
        Weights of the previous state.
    b : array of shape (H,)
        Bias.
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

    param_names = ("Wx", "Wh", "b")
    bias_names = ("b",)
    first_biases = (0,)

    def __init__(
        self, Wx: ArrayLike, Wh: ArrayLike, b: ArrayLike, *, return_state: bool = False
    ) -> None:
        self.Wx, self.Wh = as_parameter(Wx, "RNN: Wx"), as_parameter(Wh, "RNN: Wh")
        self.b = as_parameter(b, "RNN: b")
        check_weights("RNN", 1, self.Wx, self.Wh, b=self.b)
        self.return_state = return_state

    def forward(self, x: Any, h0: Any = None) -> Any:
        x = time_major(self.as_input(x))
        a = x @ self.Wx + self.b
        steps, *shape = a.shape
        start = initial_states(self, {"h0": h0}, np.zeros_like(a[0]))
        self.x, self.given = x, h0 is not None
        self.h = h = np.empty_like(a, shape=(steps + 1, *shape))
        (h[0],) = start
        for t in range(steps):
            np.tanh(a[t] + h[t] @ self.Wh, out=h[t + 1])
        hs = batch_major(h[1:])
        return (hs, h[-1]) if self.return_state else hs

    def backward(self, dout: Any) -> Any:
        da, dh0 = self._through_time(dout)
        dx = batch_major(da @ self.Wx.T)
        return (dx, dh0) if self.given else dx

    def backward_params(self, dout: Any) -> None:
        """Assign the gradients of the parameters, without that of x."""
        self._through_time(dout)

    def _through_time(self, dout: Any) -> tuple[Array, Array]:
        """Return ``da`` (T, N, H) and ``dh0``, and assign the parameters' gradients."""
        x, h = self.x, self.h
        dhs, *dlast = split_dout(self, dout, h[1:], int(self.return_state))
        da = np.empty_like(h[1:])
        dh = dlast[0] if dlast else np.zeros_like(h[0])
        for t in reversed(range(len(da))):
            dh = dhs[t] + dh
            np.multiply(dh, 1 - h[t + 1] ** 2, out=da[t])
            dh = da[t] @ self.Wh.T
        rows = da.reshape(-1, da.shape[-1])  # all steps in one product
        self.dWx = x.reshape(-1, x.shape[-1]).T @ rows
        self.dWh = h[:-1].reshape(rows.shape).T @ rows
        self.db = total(rows, 0)
        return da, dh
