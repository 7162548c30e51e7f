"""Gradient checking: `check_gradients` and `layer_laws`.

The checker's parts are imported at the first call: most programs never make one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..base import Layer
from ..protocols import LayerLike
from ..tree import is_layer
from .errors import GradientError

__all__ = ["GradientError", "check_gradients", "layer_laws"]


def check_gradients(
    layer: LayerLike,
    *inputs: Any,
    rng: np.random.Generator | None = None,
    max_elements: int = 100,
    rtol: float = 1e-6,
) -> None:
    """Compare every gradient of a layer with central differences; return nothing or raise.

    The upstream gradient is random: with one of ones a softmax with a zero backward would pass.
    Everything runs on copies in float64, and every `numpy.random.Generator` in the layer draws the
    same numbers in each forward.

    Parameters
    ----------
    layer : object with ``forward`` and ``backward``
        A layer, a net, a loss, or an object of any class, with ``params`` and ``grads`` lists where
        it has parameters.
    *inputs : arrays, numbers or nested tuples of them
        What ``forward`` gets, of any scale. Integer arrays (labels, indices) are not
        differentiated: beside other inputs their gradient is None. Nor is the target ``t`` of a
        loss, which is recognized by ``forward(y, t)`` or ``backward(dout=1.0)``.
    rng : numpy.random.Generator, optional
        Draws the upstream gradient and the elements to check; by default one with a fixed seed.
    max_elements : int, default 100
        Number of random elements that are checked of a larger array; each costs two forwards or
        more. All of its elements are then moved together too.
    rtol : float, default 1e-6
        Relative error allowed, beyond what rounding explains.

    Raises
    ------
    GradientError
        If a gradient is wrong: the message names the worst element, both numbers and the likely
        mistake. Or if forward or backward writes into an array that is not its own, depends on
        earlier calls, accumulates, or returns an unexpected structure, shape or dtype.
    TypeError
        If `layer` is a class instead of an instance, or is no layer.
    ValueError
        If there is nothing to differentiate, an input is empty, or an option is out of range.

    Notes
    -----
    If rounding inside the function leaves the finite differences no correct digits, a
    RuntimeWarning says so. The gradients that ``backward_params`` assigns, at any depth, are
    compared with those of ``backward``.

    Where the one-sided differences disagree however small the step, the function has a kink, such
    as ReLU at 0: any gradient between the two is accepted there. One direction through all kinks
    of an array is checked too, which finds ties that are counted twice, and then all elements a
    little away from the kinks.

    Examples
    --------
    >>> from chainrule.layers import MulLayer
    >>> check_gradients(MulLayer(), 100.0, 2.0)
    """
    if isinstance(layer, type):
        raise TypeError(f"check_gradients: got the class {layer.__name__}, expected an instance")
    if not is_layer(layer):
        raise TypeError(
            f"check_gradients: got {layer!r}, expected an object with forward, backward"
        )
    if max_elements < 1:
        raise ValueError(f"check_gradients: max_elements is {max_elements}, expected 1 or more")
    if not 0 <= rtol < 1:
        raise ValueError(f"check_gradients: rtol is {rtol}, expected a number from 0 to below 1")
    from .comparison import compare

    compare(layer, inputs, _default(rng), max_elements, rtol)


def layer_laws(
    layer_factory: Callable[..., Any],
    *inputs: Any,
    rng: np.random.Generator | None = None,
    batched: bool = True,
) -> None:
    """Check the gradients of a layer and every law of layers; return nothing or raise.

    The laws: all of `check_gradients`, also in evaluation mode after a training forward on other
    data, and after the parameters changed in place; evaluation is deterministic and uses only what
    parameters, buffers and the input hold; in training the output does not depend on buffers, and
    forward updates them in place; float32 stays float32; inputs and ``dout`` may be read-only, in
    any memory layout; a batch of one works and keeps its axis, after a larger batch too; two layers
    made with equal Generators agree, and instances do not disturb each other; a new layer with the
    same state evaluates alike; a loss counts a row of weight 2 twice.

    Parameters
    ----------
    layer_factory : callable
        Makes a new layer: a class or function without arguments, or with one called ``rng``, which
        is passed a `numpy.random.Generator`.
    *inputs : arrays, numbers or nested tuples of them
        What ``forward`` gets; see `check_gradients`.
    rng : numpy.random.Generator, optional
        Draws upstream gradients and the factory's seeds; by default one with a fixed seed.
    batched : bool, default True
        Whether the first axis of the inputs is a batch. Only for inputs of two or more axes.

    Raises
    ------
    GradientError
        If a gradient is wrong or a law is broken; the message names the layer, the law, what came
        and what was expected.
    TypeError
        If `layer_factory` cannot be called to make a layer.

    Notes
    -----
    In training, a layer of batch statistics may refuse a batch of one with a ValueError.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import Tanh
    >>> layer_laws(Tanh, np.array([[0.5, -1.0], [2.0, 0.1]]))
    """
    if isinstance(layer_factory, Layer) or not callable(layer_factory):
        raise TypeError(
            f"layer_laws: got {layer_factory!r}, expected a function that makes a layer, such as "
            f"lambda: {type(layer_factory).__name__}(...)"
        )
    from .laws import check_laws

    check_laws(layer_factory, inputs, _default(rng), batched)


def _default(rng: np.random.Generator | None) -> np.random.Generator:
    # A seed that no caller is likely to use: inputs drawn from the same one would be parallel to
    # dout, for which BatchNorm's dx vanishes.
    return np.random.default_rng(0xBACC) if rng is None else rng
