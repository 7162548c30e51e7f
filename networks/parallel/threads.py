"""Data parallelism in threads: each runs a copy of the net on a share of the batch."""

from __future__ import annotations

import contextvars
import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

import numpy as np

from ...layers import tree
from ...layers.base import Array
from ...layers.checks import as_count
from ...layers.nested import check_douts, leaves, map_leaves
from ...layers.protocols import LayerLike
from ..function_stack import FunctionStack
from ..gradients import params_only
from ..network import Network, call
from ..values import Value
from .shares import separate, shares


class DataParallel(Network):
    """``y = net(x)``, with a share of the rows per thread;  ``dW`` is the sum over the shares.

    The first share runs on the net itself, the others on copies that share its parameters. After
    `backward` the net's own gradients are the sums. A share has at least two rows, so a small
    batch has fewer shares.

    Parameters
    ----------
    net : Layer
        A net whose output has one row for each row of its inputs, and which treats each row
        separately (for BatchNorm see below). The DataParallel has the same state: either can load
        a file that the other saved.
    threads : int, default 2
        Maximum number of shares, and of threads.

    Raises
    ------
    ImportError
        If threadpoolctl is not installed.
    ValueError
        If `threads` is below 1; from `forward`, if the input arrays have different numbers of
        rows, or an output has another number.

    Notes
    -----
    Arrays are split along their first axis; Python numbers go to every share. BatchNorm normalizes
    each share by the share's mean and variance; its running averages become the mean of the shares'
    averages, weighted by rows, as all float buffers do; those of integers are the first share's. A
    buffer that is no average, such as a maximum or a count, would be wrong. A random layer, such as
    Dropout, uses its own Generator in the first share and a Generator seeded from its state in each
    further share: equal seeds give equal bits for an equal number of threads.

    BLAS is limited to one thread, because its threads would compete with these: during each forward
    and each backward, and throughout `Trainer.fit`. Around a loop of your own, of `train_step` or
    `value_and_grads`, write ``with one_blas_thread():`` (of ``chainrule.networks.parallel``), or
    less is gained. Convolutional nets gain most. For the large matrix products of dense nets,
    BLAS's own threads are faster.
    """

    part_names = ("layers",)  # the name that a state leaves out

    def __init__(self, net: Any, threads: int = 2) -> None:
        super().__init__(net)
        self.layers = net
        self.threads = as_count(threads, "DataParallel: threads")
        _blas()

    def forward(self, *inputs: Any) -> Any:
        inputs = map_leaves(lambda v: np.asarray(v) if isinstance(v, list) else v, inputs)
        self.shares = self._split(inputs)
        outs = self._each(lambda share: call(share.net, share.of(inputs)))
        for share, out in zip(self.shares, outs, strict=True):
            self._check_rows(out, share.rows.stop - share.rows.start)
        _average_buffers(self.shares)
        self.y = _joined(outs)
        return self.y

    def backward(self, dout: Any) -> Any:
        return self._backward(dout, lambda net: net.backward)

    def backward_params(self, dout: Any) -> None:
        """Assign the gradients of all parameters, as `backward`, but leave out the inputs'."""
        self._backward(dout, params_only)

    def _backward(self, dout: Any, method: Callable[[Any], Callable[[Any], Any]]) -> Any:
        dout = self._like(self.y, dout)
        dinputs = self._each(lambda share: method(share.net)(share.of(dout)))
        if len(self.shares) > 1:
            for layers in _layer_by_layer(self.shares):
                tree.assign_summed_grads(layers[0], [*layers])
        return _joined(dinputs)

    def _split(self, inputs: tuple[Any, ...]) -> list[_Share]:
        """Return shares of about equal numbers of rows, the first with the net itself."""
        rows = {len(leaf) for _, leaf in leaves(inputs) if np.ndim(leaf)}
        if len(rows) != 1:
            raise ValueError(
                f"{self!r}: the input arrays have {sorted(rows) or 'no'} rows, "
                "expected an equal number in all of them"
            )
        (n,) = rows
        slices = shares(n, self.threads)
        nets = [self.layers, *(_copy(self.layers, k) for k in range(1, len(slices)))]
        return [_Share(*both) for both in zip(nets, slices, strict=True)]

    def _each(self, run: Callable[[_Share], Any]) -> list[Any]:
        """Return what `run` gives for each share."""
        count = len(self.shares)
        if count == 1:
            return [run(self.shares[0])]

        def noted(k: int) -> Any:
            try:
                return run(self.shares[k])
            except Exception as error:
                rows = self.shares[k].rows
                place = f"share {k + 1} of {count}, rows {rows.start} to {rows.stop - 1}"
                error.add_note(f"in DataParallel: {place}")
                raise

        with one_blas_thread():
            return _side_by_side(noted, count)

    def _check_rows(self, out: Any, rows: int) -> None:
        for _, leaf in leaves(out):
            if np.shape(leaf)[:1] != (rows,):
                raise ValueError(
                    f"{self!r}: an output for {rows} rows has shape {np.shape(leaf)}, "
                    f"expected ({rows}, ...)"
                )

    def _like(self, y: Any, dout: Any) -> Any:
        """Return `dout`, which must have the structure and shapes of `y`."""
        if dout is None:
            return None
        if not isinstance(y, tuple):
            return self.as_dout(dout, y.shape)
        check_douts(self, dout, len(y))
        return tuple(map(self._like, y, dout))

    def __repr__(self) -> str:
        return f"DataParallel({self.layers!r}, threads={self.threads})"


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread, in the whole process, until all such contexts have ended.

    `DataParallel` enters it in forward and in backward, `Trainer.fit` around all of its steps: if
    BLAS used its threads in between, they would spin for a while after the work and slow the next
    shares down.

    Returns
    -------
    context manager
        For a ``with`` statement.
    """
    global _holders, _limit
    with _lock:
        if _holders == 0:
            _limit = _blas().limit(limits=1, user_api="blas")
        _holders += 1
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if _holders == 0:
                _limit.restore_original_limits()


def blas_for(net: LayerLike) -> AbstractContextManager[None]:
    """Return `one_blas_thread` for a net that runs in threads, else nothing."""
    parallel = any(isinstance(layer, DataParallel) for layer in tree.layers_of(net))
    return one_blas_thread() if parallel else nullcontext()


_lock, _holders = threading.Lock(), 0
_limit: Any = None


@cache
def _blas() -> Any:
    """Return the controller of the loaded libraries' threads; finding them takes a millisecond."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        raise ImportError("DataParallel needs threadpoolctl: pip install threadpoolctl") from None
    return ThreadpoolController()


class _Share:
    """Some rows of the batch, and the net that they go through."""

    __slots__ = ("net", "rows")  # what looks for Generators by attributes does not look here

    def __init__(self, net: Any, rows: slice) -> None:
        self.net, self.rows = net, rows

    def of(self, value: Any) -> Any:
        """Return the share's rows of all arrays in a nested tuple."""
        return map_leaves(lambda leaf: leaf[self.rows] if np.ndim(leaf) else leaf, value)


def _side_by_side(run: Callable[[int], Any], count: int) -> list[Any]:
    """Return ``[run(0), ..., run(count - 1)]``, each in its thread, the first in this one.

    An error is raised when all have ended, the first of several.
    """
    results: list[Any] = [None] * count
    errors: list[BaseException] = []

    def work(k: int) -> None:
        try:
            results[k] = run(k)
        except BaseException as error:
            errors.append(error)

    # A thread of its own context would not have this one's np.errstate.
    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(work, k))
        for k in range(1, count)
    ]
    for thread in threads:
        thread.start()
    try:
        work(0)
    finally:
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    return results


def _copy(net: Any, number: int) -> Any:
    """Return a copy of the net that another thread can run.

    It shares the parameters and whatever other arrays its layers have; its buffers, its arrays of
    gradients, Generators and helpers of other classes are its own.
    """
    twin = tree.twin(net)
    layers = tree.layers_of(twin)
    memo: dict[int, Any] = {}  # by the id of what the net has, what the copy has
    for layer in layers:
        memo |= {id(param): param for param in tree.own_params(layer)}
        memo |= {id(grad): np.empty_like(grad) for grad in _grads(layer)}
        buffers = [getattr(layer, name) for name in getattr(layer, "buffer_names", ())]
        memo |= {id(buffer): buffer.copy() for buffer in buffers}
    parts = {id(layer) for layer in layers}

    def copied(value: Any) -> Any:
        if id(value) in parts or isinstance(value, FunctionStack | Value):  # of a Graph's last step
            return value
        if hasattr(value, "__array_function__"):
            return memo.get(id(value), value)
        if type(value) in (list, tuple):
            return type(value)(map(copied, value))
        if type(value) is dict:
            return {key: copied(part) for key, part in value.items()}
        return copy.deepcopy(value, memo)

    for layer in layers:
        attributes = getattr(layer, "__dict__", {})
        attributes |= {name: copied(value) for name, value in attributes.items()}
    for made in list(memo.values()):
        if isinstance(made, np.random.Generator):
            separate(made.bit_generator, number)
    return twin


def _grads(layer: LayerLike) -> list[Array]:
    """Return the arrays of gradients that a layer itself has at present."""
    if hasattr(layer, "param_names"):
        return [grad for n in layer.param_names if (grad := vars(layer).get(f"d{n}")) is not None]
    return list(getattr(layer, "grads", ()))


def _average_buffers(shares: Sequence[_Share]) -> None:
    """Make each buffer of the first share's net the mean over the shares, weighted by rows."""
    n = shares[-1].rows.stop
    weights = [(share.rows.stop - share.rows.start) / n for share in shares[1:]]
    for layer, *others in _layer_by_layer(shares):
        for name in getattr(layer, "buffer_names", ()):
            mean = getattr(layer, name)
            if mean.dtype.kind == "f":
                moves = [getattr(other, name) - mean for other in others]
                if any(move.any() for move in moves):
                    mean += sum(w * move for w, move in zip(weights, moves, strict=True))


def _layer_by_layer(shares: Sequence[_Share]) -> Iterator[tuple[Any, ...]]:
    """Yield each layer of the first share's net with those of the others' at the same place."""
    return zip(*(tree.layers_of(share.net) for share in shares), strict=True)


def _joined(values: Sequence[Any]) -> Any:
    """Join the shares' nested tuples: arrays by rows, gradients of a number by their sum."""
    first = values[0]
    if isinstance(first, tuple):
        return tuple(_joined(parts) for parts in zip(*values, strict=True))
    if first is None or len(values) == 1:
        return first
    return np.concatenate(values) if np.ndim(first) else sum(values)
