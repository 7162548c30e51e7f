"""What the recurrent layers share: drawn weights, time-major memory, initial states, and checks.

In memory the step comes first, so that the N rows of one step lie together; what users see is
(N, T, D), a transposed view.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike

from ..base import Array, Layer
from ..checks import as_count, as_float_dtype, as_generator
from ..initializers import Initializer, xavier_uniform
from ..nested import check_douts


class Recurrent(Layer):
    """What `RNN`, `LSTM` and `GRU` share: Wx and Wh, gates side by side, and inputs (N, T, D)."""

    Wx: Array
    Wh: Array
    bias_names: ClassVar[tuple[str, ...]]
    first_biases: ClassVar[tuple[float, ...]]  # of each gate, in `random`

    @classmethod
    def random(
        cls,
        inputs: int,
        hidden: int,
        rng: np.random.Generator,
        *,
        init: Initializer = xavier_uniform,
        dtype: DTypeLike = np.float32,
        return_state: bool = False,
    ) -> Self:
        """Return a layer whose Wx and Wh are drawn by `init`, with the fans of one gate.

        Biases are zero, but 1 for the forget gate of an `LSTM`.

        Parameters
        ----------
        inputs, hidden : int
            Lengths D and H.
        rng : numpy.random.Generator
            Source of the random numbers.
        init : Initializer, default xavier_uniform
            Distribution of Wx and Wh.
        dtype : dtype, default float32
            Dtype of the arrays.
        return_state : bool, default False
            As for the class.
        """
        name, width = f"{cls.__name__}.random", len(cls.first_biases)
        D, H = as_count(inputs, f"{name}: inputs"), as_count(hidden, f"{name}: hidden")
        rng, dtype = as_generator(rng, f"{name}: rng"), as_float_dtype(dtype, f"{name}: dtype")
        Wx = init((D, width * H), D, H, rng, dtype)
        Wh = init((H, width * H), H, H, rng, dtype)
        biases = [np.repeat(np.array(cls.first_biases, Wh.dtype), H) for _ in cls.bias_names]
        return cls(Wx, Wh, *biases, return_state=return_state)  # type: ignore[call-arg]

    def expects(self, shape: tuple[int, ...]) -> str:
        D = len(self.Wx)
        return "" if len(shape) == 3 and shape[1] and shape[2] == D else f"(N, T, {D})"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.Wx)} -> {len(self.Wh)})"


def time_major(x: Array) -> Array:
    """Return x (N, T, D) as contiguous (T, N, D): no copy of what a recurrent layer returned."""
    return np.ascontiguousarray(x.swapaxes(0, 1), like=x)


def batch_major(h: Array) -> Array:
    """Return h (T, N, H) as a view (N, T, H)."""
    return h.swapaxes(0, 1)


def initial_states(layer: Layer, states: dict[str, Any], zero: Array) -> list[Array]:
    """Return the initial states, none or all of which are given, as arrays like `zero` (N, H)."""
    given = [name for name, state in states.items() if state is not None]
    if not given:
        return [zero for _ in states]
    if len(given) < len(states):
        raise ValueError(f"{layer!r}: got {given[0]} alone, expected none or all of {[*states]}")
    arrays = {name: layer.as_real(state, name, x=zero) for name, state in states.items()}
    for name, array in arrays.items():
        if array.shape != zero.shape:
            raise ValueError(f"{layer!r}: {name} has shape {array.shape}, expected {zero.shape}")
    return list(arrays.values())


def split_dout(layer: Layer, dout: Any, hs: Array, states: int) -> list[Array]:
    """Return dout as (T, N, H), and the gradients of so many final states as (N, H).

    `states` is 0 where forward returned ``hs`` (T, N, H) alone.
    """
    steps, n, hidden = hs.shape
    douts = dout if states else (dout,)
    check_douts(layer, douts, 1 + states)
    dhs = layer.as_dout(douts[0], (n, steps, hidden))
    return [dhs.swapaxes(0, 1), *(layer.as_dout(dstate, (n, hidden)) for dstate in douts[1:])]


def check_weights(owner: str, gates: int, Wx: Array, Wh: Array, **biases: Array) -> None:
    """Raise ValueError unless Wx is (D, gates H), Wh (H, gates H) and each bias (gates H,)."""
    width = f"{gates} H" if gates > 1 else "H"
    if Wh.ndim != 2 or Wh.shape[1] != gates * len(Wh):
        raise ValueError(f"{owner}: Wh has shape {Wh.shape}, expected (H, {width})")
    outputs = Wh.shape[1]
    if Wx.ndim != 2 or Wx.shape[1] != outputs:
        raise ValueError(f"{owner}: Wx has shape {Wx.shape}, expected (D, {outputs})")
    for name, b in biases.items():
        if b.shape != (outputs,):
            raise ValueError(f"{owner}: {name} has shape {b.shape}, expected ({outputs},)")
