"""Weights from and to PyTorch: the modules of a state dict are matched to the layers of a net."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np

from ...layers import (
    GRU,
    LSTM,
    RNN,
    Affine,
    BatchNorm,
    Convolution,
    ConvolutionTranspose,
    Embedding,
    GroupNorm,
    Layer,
    LayerNorm,
    MatMul,
    PositionalEmbedding,
    SelfAttention,
)
from ...layers.base import Array
from ...layers.protocols import LayerLike
from ...layers.tree import label, walk

COUNTER = "num_batches_tracked"  # BatchNorm's, which only counts


def from_torch(net: Any, state_dict: Mapping[str, Any]) -> None:
    """Copy the weights of a PyTorch model into `net`.

    Parameters
    ----------
    net : Layer
        A network whose layers correspond to the modules of the model.
    state_dict : mapping from str to tensor or array
        ``model.state_dict()``, or what ``safetensors.numpy.load_file`` reads.

    Raises
    ------
    ValueError
        If a layer or a module remains unmatched; then nothing has changed.

    Notes
    -----
    Each layer takes the first remaining module whose arrays have its names, according to
    `torch_names`, and its shapes. A module without bias sets the bias to 0. Modules without
    weights need no layer, and layers without weights no module.
    """
    arrays = _arrays(state_dict, "from_torch: state_dict")
    state: dict[str, Array] = {}
    for prefix, layer, module in _paired(net, arrays, "from_torch"):
        ours = _ours(layer, {name: arrays[key] for name, key in module.keys.items()})
        state |= {prefix + name: array for name, array in ours.items()}
    net.load_state_dict(state)


def to_torch(net: LayerLike, like: Mapping[str, Any] | None = None) -> dict[str, Array]:
    """Return the weights of `net` as a state dict of arrays for a PyTorch model.

    Parameters
    ----------
    net : Layer
        The network.
    like : mapping from str to tensor or array, optional
        The state dict of a model whose names to use; by default a module has the name of its
        layer, as in a ``torch.nn.Sequential``.

    Returns
    -------
    dict of str to array
        Copies, contiguous in C order. ``model.load_state_dict({name: torch.from_numpy(array) for
        name, array in ...})`` loads it, ``safetensors.numpy.save_file`` writes it.

    Raises
    ------
    ValueError
        If a layer or a module of `like` remains unmatched, or a module has no bias but its layer
        has one.
    """
    if like is None:
        found: dict[str, Array] = {}
        for prefix, layer in _layers(net):
            found |= {prefix + name: array for name, array in _theirs(layer).items()}
        return found
    arrays = _arrays(like, "to_torch: like")
    found = {key: np.array(array, order="C") for key, array in arrays.items()}  # in their order
    for prefix, layer, module in _paired(net, arrays, "to_torch"):
        for name, array in _theirs(layer).items():
            if name in module.keys and name != COUNTER:
                found[module.keys[name]] = array
            elif name not in module.keys and array.any():
                raise ValueError(
                    f"to_torch: {prefix}{name} is not zero, but {module.place} has no {name}; if a "
                    "BatchNorm follows, subtract the bias from its running_mean and set it to 0"
                )
    return found


@singledispatch
def torch_names(layer: Any) -> dict[str, str]:
    """Return PyTorch's names of the arrays of a layer: ``{"W": "weight.T", "b": "bias"}``.

    ``torch_names.register`` adds the names for a layer of your own; by default they are the same.

    Parameters
    ----------
    layer : Layer
        The layer, whose class selects the names.

    Returns
    -------
    dict of str to str
        The name of a matrix that PyTorch stores transposed ends in ``.T``; two biases that it adds
        are ``bias_ih + bias_hh``.
    """
    return {name: name for name in (*layer.param_names, *layer.buffer_names)}


@torch_names.register
def _(layer: Affine) -> dict[str, str]:
    return {"W": "weight" if layer.transposed else "weight.T", "b": "bias"}


_AVERAGES = {"running_mean": "running_mean", "running_var": "running_var"}
_RECURRENT = {"Wx": "weight_ih_l0.T", "Wh": "weight_hh_l0.T"}
for _kinds, _names in {
    (MatMul,): {"W": "weight.T"},
    (Convolution, ConvolutionTranspose): {"W": "weight", "b": "bias"},
    (LayerNorm, GroupNorm): {"gamma": "weight", "beta": "bias"},
    (BatchNorm,): {"gamma": "weight", "beta": "bias", **_AVERAGES},
    (Embedding, PositionalEmbedding): {"W": "weight"},
    (RNN, LSTM): {**_RECURRENT, "b": "bias_ih_l0 + bias_hh_l0"},
    (GRU,): {**_RECURRENT, "bx": "bias_ih_l0", "bh": "bias_hh_l0"},
    (SelfAttention,): {
        "W": "in_proj_weight.T",
        "b": "in_proj_bias",
        "Wo": "out_proj.weight.T",
        "bo": "out_proj.bias",
    },
}.items():
    for _kind in _kinds:
        torch_names.register(_kind, lambda layer, names=_names: dict(names))


class Module(NamedTuple):
    """A module of a state dict: its place and, by their names within it, its keys."""

    place: str
    keys: dict[str, str]


def _arrays(state_dict: Any, what: str) -> dict[str, Array]:
    """Return the tensors of a state dict as arrays."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"{what} is a {type(state_dict).__name__}, expected a mapping from names to arrays "
            "such as model.state_dict()"
        )
    arrays: dict[str, Array] = {}
    for key, value in state_dict.items():
        for method in ("detach", "cpu"):
            value = getattr(value, method, lambda value=value: value)()
        try:
            arrays[key] = np.asarray(value)
        except TypeError as error:
            raise TypeError(
                f"{what}: {key!r} is no NumPy array: {error}; tensor.float() has a dtype of NumPy's"
            ) from None
    return arrays


def _modules(keys: Iterable[str]) -> list[Module]:
    """Split the keys of a state dict into modules, and a recurrent module into its layers."""
    keys = list(keys)
    found: dict[str, Module] = {}
    for key in keys:
        place, _, name = key.rpartition(".")
        parent, _, last = place.rpartition(".")
        if last == "out_proj" and f"{parent}.in_proj_weight".removeprefix(".") in keys:
            place, name = parent, f"{last}.{name}"  # a part of MultiheadAttention
        group = place
        if level := re.fullmatch(r"(\w+)_l(\d+(?:_reverse)?)", name):
            group, name = f"{place}, layer {level[2]}", f"{level[1]}_l0"
        found.setdefault(group, Module(group or "the model", {})).keys[name] = key
    return list(found.values())


def _layers(net: LayerLike) -> list[tuple[str, Any]]:
    """List the layers with parameters or buffers of their own, and the prefixes of their names."""
    found = []
    for place, layer in walk(net):
        if isinstance(layer, Layer):
            if layer.param_names or layer.buffer_names:
                found.append((f"{place}." if place else "", layer))
        elif len(getattr(layer, "params", [])):
            raise TypeError(
                f"{label(layer)} at {place!r} is not a Layer, so its arrays have no names"
            )
    return found


def _paired(net: LayerLike, arrays: dict[str, Array], caller: str) -> list[tuple[str, Any, Module]]:
    """Pair each layer with the first module left that fits it."""
    left = _modules(arrays)
    pairs, unpaired = [], []
    for prefix, layer in _layers(net):
        needed = {name: array.shape for name, array in _theirs(layer).items()}
        module = next((module for module in left if _fits(needed, module, arrays)), None)
        if module is None:
            needs = ", ".join(f"{n} {shape}" for n, shape in needed.items() if n != COUNTER)
            unpaired.append(f"{prefix.removesuffix('.')} {label(layer)}: {needs}".lstrip())
        else:
            left.remove(module)
            pairs.append((prefix, layer, module))
    if unpaired or left:
        modules = [
            f"{place}: " + ", ".join(f"{n} {arrays[k].shape}" for n, k in keys.items())
            for place, keys in left
        ]
        lines = [f"{caller}: the model does not match the net"]
        lines += ["layers without a module:", *(f"  {line}" for line in unpaired or ["none"])]
        lines += ["modules without a layer:", *(f"  {line}" for line in modules or ["none"])]
        raise ValueError("\n  ".join(lines))
    return pairs


def _fits(needed: dict[str, Any], module: Module, arrays: dict[str, Array]) -> bool:
    """Whether names and shapes are those needed; biases may be missing."""
    given = {name: arrays[key].shape for name, key in module.keys.items()}
    missing = set(needed) - set(given) - {COUNTER}
    return given.items() <= needed.items() and all("bias" in name for name in missing)


def _theirs(layer: LayerLike) -> dict[str, Array]:
    """Return the arrays of a layer as PyTorch has them."""
    found: dict[str, Array] = {}
    for name, theirs in torch_names(layer).items():
        array = getattr(layer, name)
        first, *others = theirs.removesuffix(".T").split(" + ")
        found[first] = np.array(array.T if theirs.endswith(".T") else array, order="C")
        found |= {other: np.zeros_like(array) for other in others}
    if isinstance(layer, BatchNorm):
        found[COUNTER] = np.array(0)
    return found


def _ours(layer: Any, arrays: dict[str, Array]) -> dict[str, Array]:
    """Return PyTorch's arrays as the layer has them: zeros for a bias that is missing."""
    found: dict[str, Array] = {}
    for name in (*layer.param_names, *layer.buffer_names):
        theirs = torch_names(layer)[name]
        parts = [arrays[key] for key in theirs.removesuffix(".T").split(" + ") if key in arrays]
        total = sum(parts[1:], parts[0]) if parts else np.zeros_like(getattr(layer, name))
        found[name] = total.T if theirs.endswith(".T") else total
    return found
