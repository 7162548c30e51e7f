"""What the ranks of test_mpi run: ``mpiexec -n N python -m mpi4py mpi_program.py FOLDER TEST...``.

Each test returns what its rank has found, which is written to FOLDER as TEST.RANK.npz.
"""

import os
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
from small_training import same

from chainrule.layers import (
    Affine,
    BatchNorm,
    CrossEntropyLoss,
    Dropout,
    MSELoss,
    SumLoss,
    Tanh,
)
from chainrule.networks import L2, Adam, Branch, Sequential, Trainer, schedules
from chainrule.networks.parallel.mpi import RankError


def net(*more):
    rng = np.random.default_rng(0)
    layers = Affine.random(4, 6, rng, dtype=float), Tanh(), Affine.random(6, 3, rng, dtype=float)
    return Sequential(*layers, *more)


def data(rows):
    rng = np.random.default_rng(1)
    return rng.normal(size=(rows, 4)), rng.integers(3, size=rows)


def arrays(trainer):
    return {f"p{k}": param for k, param in enumerate(trainer.net.params)}


def training(comm, rank):
    """All that must be agreed upon; the last batch has 3 rows, and one class is ignored."""
    options = {"max_norm": 0.1, "penalty": L2(0.01), "schedule": schedules.cosine(0.01, 40)}
    loss, rng = CrossEntropyLoss(ignore_index=2), np.random.default_rng(2)
    trainer = Trainer(net(), loss, Adam(), rng, comm=comm, **options)
    (x, t), weights = data(43), np.linspace(0.5, 2, 43)
    sets = {"test": data(17), "weighted": (*data(5), [1, 2, 3, 0, 1])}
    fitting = {"batch_size": 10, "patience": 6, "monitor": "test_loss", "weights": weights}
    history = trainer.fit(x, t, epochs=8, validation=sets, progress=rank == 1, **fitting)
    columns = {name: history[name] for name in history.names if name != "seconds"}
    found = trainer.evaluate(*data(7))
    return arrays(trainer) | columns | found | {"losses": history.step_losses}


def a_sum(comm, rank):
    """Two outputs, each with its loss; a fraction for validation; no step in the last batch."""
    loss = SumLoss(CrossEntropyLoss(), MSELoss(), weights=(1, 0.5))
    trainer = Trainer(net(Branch(2)), loss, Adam(), np.random.default_rng(2), comm=comm)
    x, t = data(23)
    targets = t, np.eye(3)[t]
    fitting = {"batch_size": 10, "drop_last": True, "validation": 0.2, "progress": False}
    history = trainer.fit(x, targets, epochs=3, **fitting)
    return arrays(trainer) | {n: history[n] for n in history.names if n != "seconds"}


def batches(comm, rank):
    """Batches by rank, of which rank 0 has one more; and a function that stops on one rank."""
    x, t = data(21)
    mine = [(x[i : i + 3], t[i : i + 3]) for i in range(0, 21, 3)]
    if comm is not None:
        mine = mine[rank :: comm.Get_size()]
    else:  # the same steps for one
        mine = [(x[i : i + 6], t[i : i + 6]) for i in range(0, 21, 6)]
    trainer = Trainer(net(), CrossEntropyLoss(), Adam(), np.random.default_rng(0), comm=comm)

    def stop(trainer):
        if (rank == 1 or comm is None) and trainer.steps == 6:
            raise StopIteration

    trainer.fit(mine, epochs=3, after_step=stop, progress=False)
    return arrays(trainer) | {"steps": trainer.steps, "losses": trainer.history.step_losses}


def parts(seed):
    rng = np.random.default_rng(seed)
    return net(Dropout(0.3, rng)), CrossEntropyLoss(), Adam(), rng


def resuming(comm, rank, folder):
    """Half of a fit with Dropout, saved, and the rest of it; against all of it at once."""
    (x, t), path = data(43), folder / "training.npz"
    fitting = {"batch_size": 10, "progress": False}
    whole = Trainer(*parts(0), comm=comm)
    whole.fit(x, t, epochs=4, **fitting)
    half = Trainer(*parts(0), comm=comm)
    half.fit(x, t, epochs=2, checkpoint=path, checkpoint_every=2, **fitting)
    rest = Trainer.resume(path, *parts(5), comm=comm)
    rest.fit(x, t, epochs=4, **fitting)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Trainer.resume(path, *parts(5)).fit(x, t, epochs=4, **fitting)
    return {"same": same(whole.net, rest.net), "said": [str(w.message) for w in caught]}


def streams(comm, rank):
    """The mask that a rank draws, and running averages of shares."""
    x, t = data(11)
    layer = Dropout(0.5, np.random.default_rng(0))
    model = Sequential(BatchNorm.identity(4, dtype=float), layer, *net())
    trainer = Trainer(model, CrossEntropyLoss(), Adam(), layer.rng, comm=comm)
    mine = trainer.ranks.share(11)
    trainer.train_step(x[mine], t[mine])
    return {"mask": layer.forward(np.ones((50, 20))), "mean": model[0].running_mean}


def errors(comm, rank):
    """Errors of one rank, in a step, in a metric, in what ranks cannot do, and drift."""
    x, t = data(8)
    trainer = Trainer(net(), CrossEntropyLoss(), Adam(), np.random.default_rng(0), comm=comm)
    said = []

    def attempt(call):
        try:
            call()
        except (RankError, ValueError, FloatingPointError, OSError) as error:
            said.append(f"{type(error).__name__}: {error} {getattr(error, '__notes__', '')}")

    mine = slice(4 * rank, 4 * rank + 4)
    attempt(lambda: trainer.train_step(x[mine], t[mine] + 9 * (rank == 1)))
    attempt(lambda: trainer.train_step(x[mine] * (np.nan if rank else 1), t[mine]))
    attempt(lambda: trainer.fit(x, t, epochs=1, checkpoint="/no/such/folder/file"))
    loss = SumLoss(CrossEntropyLoss(ignore_index=2), MSELoss())
    outs = Trainer(net(Branch(2)), loss, Adam(), np.random.default_rng(0), comm=comm)
    attempt(lambda: outs.train_step(x[mine], (t[mine] * 0 + 2 * rank, np.zeros((4, 3)))))
    attempt(lambda: trainer.fit(x[: 8 - rank], t[: 8 - rank], epochs=1, progress=False))
    if rank == 1:
        trainer.net[2].b[0] += 1e-9
    attempt(lambda: trainer.fit(x, t, epochs=1, progress=False))
    return {"said": said}


def one_fails(comm, rank):
    """Errors of rank 1 alone, outside of the step: rank 0 must not wait for it."""
    (x, t), said = data(8), []

    def fail(*arguments):
        if rank == 1:
            raise ValueError("rank 1 alone")
        return arguments[:2]

    wrong = t + 9 * (np.arange(8) == 7)  # in the rows of rank 1
    batches = [(x, t), (x, t) if rank == 0 else "no batch"]
    holed = np.where(rank, np.nan, x)
    for name, arguments, options in (
        ("fit", (x, t), {"transform": fail}),
        ("fit", (x, t), {"after_step": fail}),
        ("fit", (x, t), {"after_epoch": fail}),
        ("fit", (x, t), {"validation": (x, wrong)}),
        ("fit", (batches,), {}),
        ("fit", (holed, t), {}),
        ("evaluate", (x, wrong), {}),
        ("evaluate", (holed, t), {}),
    ):
        rng = np.random.default_rng(0)
        trainer = Trainer(net(), CrossEntropyLoss(), Adam(), rng, comm=comm)
        fitting = {"epochs": 1, "progress": False} if name == "fit" else {}
        try:
            getattr(trainer, name)(*arguments, **fitting, **options)
        except (RankError, ValueError, TypeError) as error:
            said.append(f"{type(error).__name__}: {error} {getattr(error, '__notes__', '')}")
    return {"said": said}


def late(comm, rank):
    """Ctrl-C in the last step of a fit does not end the next one."""
    (x, t), rng = data(40), np.random.default_rng(0)
    trainer = Trainer(net(), CrossEntropyLoss(), Adam(), rng, comm=comm)

    def press(trainer):
        if rank == 1 and trainer.steps == 4:
            signal.raise_signal(signal.SIGINT)

    for _ in range(2):
        trainer.fit(x, t, epochs=1, batch_size=10, after_step=press, progress=False)
    return {"steps": trainer.steps}


def interrupted(comm, rank, folder):
    """Ctrl-C on rank 1 ends all at the same step, and the checkpoint is of that step."""
    (x, t), path = data(40), folder / "interrupted.npz"
    trainer = Trainer(net(), CrossEntropyLoss(), Adam(), np.random.default_rng(0), comm=comm)

    def press(trainer):
        if rank == 1 and trainer.steps == 3:
            signal.raise_signal(signal.SIGINT)

    fitting = {"batch_size": 10, "progress": False, "checkpoint": path}
    trainer.fit(x, t, epochs=5, after_step=press, **fitting)
    steps = trainer.steps
    trainer.fit(x, t, epochs=5, **fitting)
    return {"steps": [steps, trainer.steps]}


def uncaught(comm, rank):
    """Rank 1 ends with an error while rank 0 waits for it."""
    trainer = Trainer(net(), CrossEntropyLoss(), Adam(), np.random.default_rng(0), comm=comm)
    if rank == 1:
        raise ArithmeticError("this rank has had enough")
    trainer.train_step(*data(4))


def killed(comm, rank, folder):
    """The operating system ends rank 1 in the middle of a fit."""
    trainer = Trainer(*parts(0), comm=comm)

    def kill(trainer):
        if rank == 1 and trainer.steps == 7:
            os.kill(os.getpid(), signal.SIGKILL)

    saving = {"checkpoint": folder / "killed.npz", "checkpoint_every": 2}
    trainer.fit(*data(43), epochs=5, batch_size=10, after_step=kill, **saving)


def run(test, comm, rank, folder):
    """Write what a test finds."""
    function = globals()[test]
    more = (folder,) if function.__code__.co_argcount > 2 else ()
    found = function(comm, rank, *more)
    np.savez(folder / f"{test}.{rank}.npz", **found)


if __name__ == "__main__":
    from mpi4py import MPI

    for name in sys.argv[2:]:
        run(name, MPI.COMM_WORLD, MPI.COMM_WORLD.Get_rank(), Path(sys.argv[1]))
