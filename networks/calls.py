"""One call of a layer on the function stack, which can be run back."""

from __future__ import annotations

from typing import Any

from ..layers.protocols import LayerLike
from ..layers.tree import label, layers_of, params_and_grads, set_zero_grads
from .gradients import backward_params_of, own_dout
from .values import add_gradient, grad_of, one_per_input


class Call:
    """One call of a layer, ``output = layer.forward(*inputs)``, which `backward` runs back.

    Attributes
    ----------
    layer : object with ``forward`` and ``backward``
        The layer that was pushed.
    inputs : tuple of Value
        Its arguments, perhaps nested.
    output : Value or tuple of Value
        What it returned.
    dout : number, array, tuple or None
        The gradient of the output; None if the output is not used.
    gradients : tuple or None
        The gradient of each input, nested as the inputs are.
    """

    __slots__ = ("_dparams", "dout", "gradients", "inputs", "layer", "output", "ran")

    def __init__(self, layer: LayerLike, ran: Any, inputs: tuple[Any, ...], output: Any) -> None:
        self.layer, self.inputs, self.output = layer, inputs, output
        self.ran = ran  # the layer itself, or in later calls of it a copy
        self.dout: Any = None
        self.gradients: tuple[Any, ...] | None = None
        self._dparams: list[Any] | None = None

    @property
    def dparams(self) -> list[Any] | None:
        """The gradients of the layer's parameters from this call alone; None before `backward`."""
        if self.dout is None or self._dparams is not None:
            return self._dparams
        return params_and_grads(layers_of(self.ran))[1]

    def backward(self) -> None:
        """``dinputs = layer.backward(dout)``, added to the gradients of the inputs.

        dout is the gradient of the output, which the calls after it have added up; for the last
        call set it first, ``price.grad = 1``. Where it is None, nothing flows back.
        """
        self.gradients, self._dparams, self.dout = None, None, grad_of(self.output)
        if self.dout is None:  # the output is not used
            set_zero_grads(self.ran)
            return
        gradients = self.ran.backward(own_dout(self.ran, self.dout))
        self.gradients = one_per_input(self.inputs, gradients, self.layer)
        for value, gradient in zip(self.inputs, self.gradients, strict=True):
            add_gradient(value, gradient, self.layer)

    def backward_params(self) -> None:
        """Run `backward` without the gradients of the inputs."""
        self.gradients, self._dparams, self.dout = None, None, grad_of(self.output)
        backward_params_of(self.ran, self.dout)

    def __repr__(self) -> str:
        return f"Call({label(self.layer)})"
