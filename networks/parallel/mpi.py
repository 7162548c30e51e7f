"""Data parallelism over the ranks of MPI: each has the whole net and a share of each batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from ...layers.base import Array
from ...layers.nested import map_leaves
from ...layers.protocols import LayerLike, LossLike
from ...layers.tree import layers_of, params_and_grads, params_of, state
from ..mean_loss import Part, parts_of, rows_of
from .shares import separate, shares

T = TypeVar("T")


class RankError(RuntimeError):
    """Another rank has failed, or the ranks do not agree."""


class Alone:
    """The communicator of a training in one process, with mpi4py's methods that `Ranks` calls."""

    def Get_rank(self) -> int:  # noqa: N802
        return 0

    def Get_size(self) -> int:  # noqa: N802
        return 1

    def bcast(self, value: T) -> T:
        return value

    def gather(self, value: T) -> list[T]:
        return [value]

    allgather = gather


class Ranks:
    """The ranks that train one net together. All of them call each method, in the same order.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm, optional
        Such as ``MPI.COMM_WORLD``; by default this process is alone.

    Attributes
    ----------
    rank, size : int
        The number of this rank, from 0, and the number of ranks.
    """

    def __init__(self, comm: Any = None) -> None:
        if not (comm is None or hasattr(comm, "Allreduce")):
            raise TypeError(
                f"Trainer: comm is {comm!r:.60}, expected a communicator such as MPI.COMM_WORLD"
            )
        self.comm: Any = Alone() if comm is None else comm
        self.rank, self.size = self.comm.Get_rank(), self.comm.Get_size()
        self._noted = self._agreed = False  # Ctrl-C, on this rank and on any

    def __deepcopy__(self, memo: dict[int, Any]) -> Ranks:
        return Ranks()  # a copy of a Trainer is this rank's own

    def share(self, n: int) -> slice:
        """Return which of `n` rows are this rank's, perhaps none."""
        found = shares(n, self.size)
        return found[self.rank] if self.rank < len(found) else slice(n, n)

    def gradients(
        self,
        step: Callable[..., float],
        layers: list[Any],
        net: Any,
        loss: Any,
        x: Any,
        t: Any,
        weights: Any,
    ) -> tuple[float, list[Array], list[Array]]:
        """Return the loss, parameters and gradients of a batch of which each rank has some rows.

        ``dW = sum_r total_r dW_r / sum_r total_r``, where ``total_r`` is what the mean of rank r is
        divided by; with ``reduction="sum"`` just the sum. The buffers become the means over the
        ranks, weighted by rows. One Allreduce carries all of it. The layers keep the gradients of
        this rank's rows. `step` is what each rank calls for its own, such as `backpropagate`;
        `layers` are those of net and loss.

        Raises
        ------
        RankError
            If another rank has raised an error; that rank raises the error itself.
        ValueError
            If the losses of a `SumLoss` do not divide by totals in the same proportion.
        """
        if self.size == 1:
            return step(net, loss, x, t, weights), *params_and_grads(layers)
        rows, params, buffers = rows_of(t), params_of(layers), _buffers(net, loss)
        before = [buffer.copy() for buffer in buffers]
        value, grads, error = 0.0, [np.zeros_like(p) for p in params], None
        try:
            if rows:
                value, (_, grads) = step(net, loss, x, t, weights), params_and_grads(layers)
        except Exception as caught:  # reported to the others, and raised below
            error, rows = caught, 0
        parts = parts_of(loss, value, rows)
        totals = [bool(rows) if total is None else total for _, _, total in parts]
        values = [part for _, part, _ in parts]
        table = np.zeros((self.size, 3 + 2 * len(parts)))  # each rank fills its row
        table[self.rank] = [error is not None, self._noted, rows, *totals, *values]

        terms = [(grad, totals[0]) for grad in grads]
        terms += [(b - a, rows) for a, b in zip(before, buffers, strict=True)]
        *sums, table = self._sum([*terms, (table, 1)], np.result_type(np.float32, *params))
        failed, noted, rows_of_all = table[:, :3].T
        self._raise(error, failed.astype(bool).tolist())
        self._parts, divisor = _of_all(loss, parts, table[:, 3:])
        self._rows, self._agreed = int(rows_of_all.sum()), bool(noted.any())

        for buffer, old, move in zip(buffers, before, sums[len(params) :], strict=True):
            buffer[...] = old + move / self._rows
        grads = sums[: len(params)]
        for grad in grads:
            grad /= divisor
        return sum(factor * part for factor, part, _ in self._parts), params, grads

    def parts(self, loss: LossLike, value: float, t: Any) -> tuple[list[Part], int]:
        """Return `parts_of` the latest step's loss and its rows, over all ranks."""
        if self.size > 1:
            return self._parts, self._rows
        return parts_of(loss, value, rows_of(t)), rows_of(t)

    def interrupted(self, noted: bool) -> bool:
        """Record a Ctrl-C for the next step's sum; return whether the last one had any rank's."""
        agreed = self._agreed if self.size > 1 else noted
        self._noted, self._agreed = noted and not agreed, False
        return agreed

    def steps(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Yield this rank's batches, and then empty ones until all ranks have run out."""
        batch = empty = None

        def take() -> bool:
            nonlocal batch
            batch = next(batches, None)
            return batch is not None

        while self.any(take):
            if batch is not None:
                empty = map_leaves(lambda a: a[:0] if np.ndim(a) else a, batch)
            yield empty if batch is None else batch

    def first(self, function: Callable[[], T]) -> T:
        """Return the function's value on rank 0 on all ranks; its error is raised on all.

        Decisions that depend on a float, such as when to stop, are then the same on all ranks, even
        if their processors round differently.
        """
        value, error = None, None
        if self.rank == 0:
            try:
                value = function()
            except Exception as caught:
                error = caught
        failed, value = self.comm.bcast((error is not None, value))
        if error is not None:
            raise error
        if failed:
            raise RankError(f"rank 0 of {self.size} has raised an error")
        return value

    def any(self, function: Callable[[], bool]) -> bool:
        """Return on all ranks whether the function returns True on one of them.

        Raises
        ------
        RankError
            If the function has raised an error on another rank; that rank raises the error itself.
        """
        flag, error = False, None
        try:
            flag = function()
        except Exception as caught:
            error = caught
        found = self.comm.allgather((error is not None, flag))
        self._raise(error, [failed for failed, _ in found])
        return any(flag for _, flag in found)

    def together(self, function: Callable[[], T]) -> T:
        """Return the function's value on this rank; an error is raised on all, as by `any`.

        Whatever can fail on one rank alone runs so, since the others would wait for it forever.
        """
        value: Any = None

        def run() -> bool:
            nonlocal value
            value = function()
            return False

        self.any(run)
        return value

    def _raise(self, error: Exception | None, failed: Sequence[bool]) -> None:
        """Raise this rank's error, or say which of the others has failed."""
        if error is not None:
            if self.size > 1:
                error.add_note(f"on rank {self.rank} of {self.size}")
            raise error
        if any(failed):
            rank = list(failed).index(True)
            raise RankError(f"rank {rank} of {self.size} has raised an error")

    def gather(self, value: T) -> list[T]:
        """Return the values of all ranks, in their order, on rank 0; elsewhere nothing."""
        return self.comm.gather(value) or []

    def check_samples(self, samples: int | None) -> None:
        """Raise ValueError on all ranks unless their arrays have equal numbers of rows."""
        found = self.comm.allgather(samples)
        if len({*found}) > 1:
            raise ValueError(f"the ranks have {found} rows, expected the whole data on each")

    def check_equal(self, net: LayerLike) -> None:
        """Raise RankError on all ranks unless they have the same parameters, bit for bit."""
        if self.size == 1:
            return
        from hashlib import blake2b

        mine = {n: blake2b(a.tobytes()).digest() for n, a in state(net).items()}
        first, *others = self.comm.allgather(mine)
        for rank, theirs in enumerate(others, 1):
            if wrong := [n for n in first | theirs if first.get(n) != theirs.get(n)]:
                raise RankError(f"{wrong[0]!r} is not the same on rank {rank} as on rank 0")

    def separate(self, generators: Sequence[np.random.BitGenerator]) -> None:
        """Give each rank but the first its own random streams, from equal states."""
        for bits in generators if self.rank else ():
            separate(bits, self.rank)

    def _sum(self, terms: Sequence[tuple[Array, float]], dtype: Any) -> list[Array]:
        """Return the sums of ``array * weight`` over the ranks: one buffer, one message."""
        from mpi4py import MPI

        flat = np.empty(sum(array.size for array, _ in terms), dtype)
        places, start = [], 0
        for array, weight in terms:
            places.append(flat[start : start + array.size].reshape(array.shape))
            np.multiply(array, weight, out=places[-1], casting="same_kind")
            start += array.size
        self.comm.Allreduce(MPI.IN_PLACE, flat)
        return places


def _of_all(loss: LossLike, mine: list[Part], table: Array) -> tuple[list[Part], float]:
    """Return the parts of the loss over all ranks, and what their gradients are divided by.

    The table has a row for each rank: the totals of its parts, 1 for a sum, and then their values.
    """
    columns, count = list(zip(*table.tolist(), strict=True)), len(mine)
    parts: list[Part] = []
    shares: list[list[float]] = []
    divisors: list[float] = []
    columns_of_parts = zip(mine, columns[:count], columns[count:], strict=True)
    for (factor, _, total), totals, values in columns_of_parts:
        whole = 1.0 if total is None else sum(totals)
        divisors.append(whole or 1.0)  # a batch that counts nothing has loss 0
        value = sum(n * v for n, v in zip(totals, values, strict=True)) / divisors[-1]
        parts.append((factor, value, None if total is None else whole))
        shares.append([n / divisors[-1] for n in totals])
    if len(parts) > 1 and np.ptp(shares, axis=0).max() > 1e-6:
        raise ValueError(
            f"{loss!r}: its losses are means over different rows on each rank, as with "
            "ignore_index or a sum beside a mean; expected losses over the same rows"
        )
    return parts, divisors[0]


def _buffers(*nets: LayerLike) -> list[Array]:
    """Return the float buffers of net and loss, each once."""
    arrays = [
        getattr(layer, name)
        for layer in layers_of(*nets)
        for name in getattr(layer, "buffer_names", ())
    ]
    return list({id(array): array for array in arrays if array.dtype.kind == "f"}.values())
