"""The contract of every layer: forward, backward, and the names of what it owns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from .checks import check_real, check_unmasked
from .device import Array as Array
from .device import as_numpy, check_same_kind, is_elsewhere, moved
from .matched_state import matched_state
from .missing_attribute import missing_attribute
from .tree import layers_of, own_params, params_and_grads, params_of, twin, walk
from .tree import state as state_of


class Layer:
    """A function that keeps what it saw: ``forward(x)``, then ``backward(dout)``.

    ``forward(*inputs)`` saves on ``self`` what ``backward`` needs and returns a value;
    ``backward(dout)`` returns one gradient per input (a tuple if there are several) and assigns
    the gradient of each parameter ``W`` to ``dW``. A value is an array, a Python number, or a tuple
    of values; that of integers or booleans may be None. A loss returns the gradient of its
    prediction alone. Neither method writes into its arguments or into an array it returned before.

    ``backward_params(dout)`` is optional: it assigns the gradients of the parameters without
    computing that of the input. Training calls it on the first layer, and `layer_laws` checks it
    as it checks ``backward``.

    Attributes
    ----------
    param_names : tuple of str
        Names of the trained arrays, such as ``("W", "b")``. The optimizer updates them in place.
    buffer_names : tuple of str
        Names of the arrays that are saved but not trained; forward updates them in place.
    part_names : tuple of str
        Names of the attributes that hold layers: one, or a list, tuple or dict of them.
    training : bool
        True while training, False in evaluation.
    frozen : bool
        Whether `freeze` was called: its parameters are not trained.
    constructed : frozenset or None
        The attributes that ``__init__`` set, and whether each was other than None: what `forget`
        keeps. None if they are not known, as with a dataclass.
    """

    param_names: tuple[str, ...] = ()
    buffer_names: tuple[str, ...] = ()
    part_names: tuple[str, ...] = ()
    training: bool = True
    frozen: bool = False
    constructed: frozenset[tuple[str, bool]] | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("params", "grads"):
            if name in vars(cls):
                raise TypeError(
                    f"{cls.__name__} defines {name!r}, which follows from param_names and "
                    'part_names: declare the arrays, such as param_names = ("W", "b")'
                )
        for name in ("param_names", "buffer_names", "part_names"):
            if isinstance(names := getattr(cls, name), str):
                raise TypeError(
                    f"{cls.__name__}: {name} is the string {names!r}, expected a tuple: "
                    f"{name} = ({names!r},)"
                )
        if "__init__" in vars(cls):
            cls.__init__ = _noting(cls.__init__)  # type: ignore[method-assign]

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Return the layer's value and remember what `backward` needs."""
        raise NotImplementedError(f"{type(self).__name__} has no forward()")

    def backward(self, dout: Any, /) -> Any:
        """Return the gradient of each input and assign those of the parameters."""
        raise NotImplementedError(f"{type(self).__name__} has no backward()")

    @property
    def params(self) -> list[Array]:
        """The trained arrays themselves, in the order of `walk`.

        A shared array is listed once; the arrays of frozen layers are left out.
        """
        return params_of(layers_of(self))

    @property
    def grads(self) -> list[Array]:
        """The gradients of `params` from the latest `backward`, summed for shared arrays."""
        return params_and_grads(layers_of(self))[1]

    def walk(self) -> Iterator[tuple[str, Any]]:
        """Iterate over this layer and all below it.

        Returns
        -------
        iterator of (str, layer)
            Each layer with its place, such as ``"block.0"``; ``""`` for this layer itself.
        """
        return walk(self)

    def train(self) -> None:
        """Enter training mode in this layer and all below it, except frozen ones."""
        for layer in layers_of(self):
            if hasattr(layer, "training"):
                layer.training = not getattr(layer, "frozen", False)

    def eval(self) -> None:
        """Enter evaluation mode in this layer and all below it."""
        for layer in layers_of(self):
            if hasattr(layer, "training"):
                layer.training = False

    def freeze(self) -> None:
        """Stop training this layer and its parts.

        Their arrays are no longer in `params` but stay in the state, and `train` leaves them in
        evaluation mode.
        """
        for layer in layers_of(self):
            layer.frozen = True
            layer.training = False

    def unfreeze(self) -> None:
        """Train this layer and its parts again; the next `train` sets their mode."""
        for layer in layers_of(self):
            layer.frozen = False

    def predict(self, *inputs: Any) -> Any:
        """Return ``forward(*inputs)`` in evaluation mode.

        It runs on a `twin`, so the layer itself is left as it was: its mode, buffers and what its
        last forward saved. Several threads may predict with one net at once. While another thread
        trains the net, a prediction may see some parameters before an update and others after it.

        Parameters
        ----------
        *inputs : array, number or tuple
            Those of `forward`.

        Returns
        -------
        array, number or tuple
            The layer's value.
        """
        copy = twin(self)
        copy.eval()
        return copy.forward(*inputs)

    def forget(self) -> None:
        """Drop what forward and backward saved, the last batch and gradients: before pickling.

        In this layer and all below it, attributes that the constructor or the class set are kept,
        those that the constructor set to None are None again unless they are numbers or strings,
        and all others are deleted. Parameters, buffers, parts, the mode and `freeze` stay as they
        are, and so do objects that are no `Layer`, and dataclasses.
        """
        for layer in layers_of(self):
            bare = type(layer).__init__ is object.__init__  # set nothing
            noted = frozenset() if bare else getattr(layer, "constructed", None)
            if isinstance(layer, Layer) and noted is not None:
                constructed = dict(noted)
                kept = {"constructed", "training", "frozen"}
                kept |= {*layer.param_names, *layer.buffer_names, *layer.part_names}
                for name, value in [*vars(layer).items()]:
                    if name in kept:
                        continue
                    if name in constructed:
                        if not (constructed[name] or isinstance(value, int | float | str)):
                            setattr(layer, name, None)
                    elif not hasattr(type(layer), name):
                        delattr(layer, name)

    def map_arrays(self, function: Callable[[Array], Array]) -> None:
        """Replace each parameter and buffer by ``function(array)``; shared arrays stay shared.

        Parameters
        ----------
        function : callable
            Such as ``cupy.asarray``, which moves a net to a GPU, ``cupy.asnumpy``, which moves it
            back, or ``lambda array: array.astype(np.float64)`` if there are no buffers of integers.

        Notes
        -----
        If `function` raises, nothing has changed. An attribute, or an element of a list, tuple or
        dict, that is one of these arrays is replaced too. Of an object of an older class, the
        arrays in ``params`` and ``grads`` are mapped. For an optimizer that has made a step with
        them there is `Optimizer.map_arrays`.
        """
        old: dict[int, Array] = {}
        for layer in (layers := layers_of(self)):
            grads = [] if hasattr(layer, "param_names") else getattr(layer, "grads", [])
            buffers = [getattr(layer, name) for name in getattr(layer, "buffer_names", ())]
            old |= {id(array): array for array in (*own_params(layer), *buffers, *grads)}
        new = {key: function(array) for key, array in old.items()}
        for layer in layers:
            declared = (*getattr(layer, "param_names", ()), *getattr(layer, "buffer_names", ()))
            for name in {*getattr(layer, "__dict__", ()), *declared}:
                value = getattr(layer, name)
                if type(value) is list:
                    value[:] = [new.get(id(array), array) for array in value]
                elif type(value) is dict:
                    value.update({k: new[id(a)] for k, a in value.items() if id(a) in new})
                elif type(value) is tuple and not new.keys().isdisjoint(map(id, value)):
                    setattr(layer, name, tuple(new.get(id(array), array) for array in value))
                elif id(value) in new:
                    setattr(layer, name, new[id(value)])

    def state_dict(self) -> dict[str, Array]:
        """Return copies of the parameters and buffers by name.

        Returns
        -------
        dict of str to array
            NumPy's, such as ``"0.W"``; frozen ones too, in C order.
        """
        return {
            name: np.array(as_numpy(array), order="C") for name, array in state_of(self).items()
        }

    def load_state_dict(
        self, state: Mapping[str, ArrayLike], partial: bool = False
    ) -> tuple[list[str], list[str]]:
        """Copy `state` into the parameters and buffers, in place.

        Parameters
        ----------
        state : dict of str to array
            As `state_dict` returns it.
        partial : bool, default False
            Copy only the arrays that match in name and shape; leave the others.

        Returns
        -------
        missing : list of str
            Names of the layer's arrays that were not loaded.
        unexpected : list of str
            Names in `state` that were not used. A name with another shape is in both lists; unless
            `partial`, both are empty.

        Raises
        ------
        ValueError
            If names, shapes or kinds of dtype differ, a value is not finite in the layer's dtype,
            an array is read-only, or two values are given for one shared array; if `partial`, and
            nothing matches. Then nothing has changed.
        TypeError
            If `state` is no mapping, or an array is masked.
        """
        mine, new = state_of(self), matched_state(self, state, partial)
        for key, value in new.items():
            mine[key][...] = moved(value, mine[key])
        loaded = {id(mine[key]) for key in new}
        missing = [key for key, array in mine.items() if id(array) not in loaded]
        return missing, [key for key in state if key not in new]

    def expects(self, shape: tuple[int, ...]) -> str:
        """Return which shape the input should have if `shape` does not fit, else ``""``."""
        return ""

    def as_input(self, x: Any, name: str = "x") -> Array:
        """Return `x` as an array of real numbers of the expected shape.

        Parameters
        ----------
        x : array_like
            Integers become floats of the layer's dtype.
        name : str, default "x"
            What errors call it.

        Returns
        -------
        array
            The input, ready to compute with.

        Raises
        ------
        TypeError
            If `x` does not hold real numbers, or is a masked array.
        ValueError
            If its shape is not what the layer expects.
        """
        if type(x) is not np.ndarray:
            x = self.as_real(x, name)
        kind = x.dtype.kind
        if kind != "f":
            x = self.as_real(x, name)
        if (own := self.param_names) and type(W := getattr(self, own[0])) is not type(x):
            check_same_kind(self, **{name: x, own[0]: W})
        if expected := self.expects(x.shape):
            raise ValueError(f"{self!r}: {name} has shape {x.shape}, expected {expected}")
        return x if kind == "f" else self._as_floats(x)

    def as_dout(self, dout: Any, shape: tuple[int, ...]) -> Array:
        """Return `dout` as an array, which must have the output's `shape`.

        Parameters
        ----------
        dout : array_like
            The upstream gradient. Integers become floats of the layer's dtype.
        shape : tuple of int
            Shape of the layer's output.

        Returns
        -------
        array
            The gradient, ready to compute with.

        Raises
        ------
        TypeError
            If `dout` does not hold real numbers.
        ValueError
            If its shape is not that of the layer's output.
        """
        if type(dout) is np.ndarray and dout.dtype.kind == "f" and dout.shape == shape:
            return dout
        dout = self.as_real(dout, "dout")
        if dout.shape != shape:
            raise ValueError(
                f"{self!r}: dout has shape {dout.shape}, expected {shape}, that of the output"
            )
        return dout if dout.dtype.kind == "f" else self._as_floats(dout)

    def _as_floats(self, integers: Array) -> Array:
        own = self.param_names
        return integers.astype(getattr(self, own[0]).dtype if own else np.float64)

    def as_real(self, x: Any, name: str, /, **beside: Any) -> Array:
        """Return `x` as an array of real numbers of any shape.

        Parameters
        ----------
        x : array_like
            What came.
        name : str
            What errors call it.
        **beside : array
            Another input by its name, which must be of the same kind: both NumPy's, or both CuPy's.

        Returns
        -------
        array
            Of its own dtype and shape.

        Raises
        ------
        TypeError
            If it does not hold real numbers, is a masked array, or is on another device than the
            array `beside` it, which is given by its name.
        """
        if type(x) is not np.ndarray or x.dtype.kind not in "fiub":
            check_unmasked(x, f"{self!r}: {name}")
            if not is_elsewhere(x):
                try:
                    x = np.asarray(x)
                except ValueError as error:
                    what = f"{self!r}: {name} is not an array of numbers"
                    raise ValueError(f"{what}: {error}") from None
            check_real(x, f"{self!r}: {name}")
        for other, array in beside.items():
            if type(array) is not type(x):
                check_same_kind(self, **{name: x, other: array})
        return x

    if not TYPE_CHECKING:  # or type checkers would accept every misspelt attribute, and a call

        def __call__(self, *inputs: Any) -> NoReturn:
            name = type(self).__name__
            raise TypeError(f"{name} is not callable: use its forward(...) or predict(...)")

        def __getattr__(self, name: str) -> NoReturn:
            # Only reached where the attribute does not exist, or its property found one missing.
            if name.startswith("__"):  # of Python's, such as copy's: a hint would ask for more
                raise AttributeError(f"{type(self).__name__} has no {name!r}", name=name, obj=self)
            own = getattr(type(self), name, None)
            if isinstance(own, property) and own.fget and own not in (Layer.params, Layer.grads):
                own.fget(self)  # raises its own error again, which Python has dropped
            raise missing_attribute(self, name)

        def _refuse(self, value: Any) -> NoReturn:
            raise TypeError(
                f"{type(self).__name__}: params and grads follow from param_names and part_names: "
                'declare the arrays, such as param_names = ("W", "b")'
            )

        params, grads = params.setter(_refuse), grads.setter(_refuse)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def _noting(init: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor that notes which attributes there are when it ends."""

    @wraps(init)
    def noting(self: Layer, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        own = vars(self)
        own["constructed"] = frozenset((name, value is not None) for name, value in own.items())

    return noting
