"""Checkpoints: a resumed training is the one that was not interrupted, to the last bit."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from chainrule.layers import Affine, BatchNorm, CrossEntropyLoss, Dropout, MSELoss, ReLU
from chainrule.networks import SGD, Adam, Sequential, Trainer, files, schedules
from chainrule.networks.training.checkpoint import check_can_save

BIT_GENERATORS = [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64]


def data():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 4)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0)


def parts(seed=0, bits=np.random.PCG64):
    """Net, loss, optimizer and Generator, with a Dropout that draws from a Generator of its own."""
    rng = np.random.Generator(bits(seed))
    net = Sequential(
        Affine.random(4, 8, rng),
        BatchNorm(np.ones(8, np.float32), np.zeros(8, np.float32)),
        ReLU(),
        Sequential(Dropout(0.3, np.random.Generator(bits(seed + 1)))),
        Affine.random(8, 3, rng),
    )
    return net, CrossEntropyLoss(), Adam(0.01), rng


OPTIONS = {"schedule": schedules.cosine(0.02, steps=50), "max_norm": 1.0}
FIT = {"epochs": 5, "batch_size": 8, "patience": 3, "progress": False}


def fit(trainer, transform=None, **options):
    x, t = data()
    return trainer.fit(x, t, validation=(x, t), transform=transform or noise, **FIT | options)


def noise(x, t, rng):
    return x + rng.normal(0, 0.1, x.shape), t


def stopping_at(step):
    """Return a transform that sends Ctrl-C while the given step is under way."""
    count = 0

    def transform(x, t, rng):
        nonlocal count
        count += 1
        if count == step:
            signal.raise_signal(signal.SIGINT)
        return noise(x, t, rng)

    return transform


def all_state(trainer):
    state = {f"net.{k}": v for k, v in trainer.net.state_dict().items()}
    state |= {f"optimizer.{k}": v for k, v in trainer.optimizer.state_dict().items()}
    dropouts = [layer for _, layer in trainer.net.walk() if isinstance(layer, Dropout)]
    for k, drawing in enumerate([trainer, *dropouts]):
        state[f"rng.{k}"] = np.array(str(drawing.rng.bit_generator.state))
    state["steps"] = np.array(trainer.steps)
    state["losses"] = np.array(trainer.history.step_losses)
    for name in trainer.history.names:
        if name != "seconds":
            state[f"history.{name}"] = np.array(trainer.history[name])
    return {name: (value.dtype, value.tobytes()) for name, value in state.items()}


@pytest.mark.parametrize("bits", BIT_GENERATORS)
@pytest.mark.parametrize("step", [1, 7, 8, 9, 24, 39])
def test_resumed_in_the_middle_of_an_epoch(tmp_path, bits, step):
    whole = Trainer(*parts(bits=bits), **OPTIONS)
    fit(whole)
    assert whole.steps == 40

    path = tmp_path / "run.npz"
    first = Trainer(*parts(bits=bits), **OPTIONS)
    fit(first, stopping_at(step))
    assert first.steps == step
    first.save(path)

    second = Trainer.resume(path, *parts(seed=9, bits=bits), **OPTIONS)
    assert all_state(second) == all_state(first)
    fit(second)
    assert all_state(second) == all_state(whole)
    assert second.unfinished is None


def test_ctrl_c_saves(tmp_path):
    path = tmp_path / "run.npz"
    first = Trainer(*parts(), **OPTIONS)
    fit(first, stopping_at(13), checkpoint=path)
    assert all_state(Trainer.resume(path, *parts(seed=9), **OPTIONS)) == all_state(first)


def test_a_checkpoint_between_two_fits(tmp_path):
    path = tmp_path / "run.npz"
    whole = Trainer(*parts())
    fit(whole, epochs=2)
    whole.save(path)
    fit(whole, epochs=2)
    second = Trainer.resume(path, *parts(seed=9))
    fit(second, epochs=2)
    assert all_state(second) == all_state(whole)
    assert len(second.history.epochs) == 4


def test_a_fit_that_had_ended_has_nothing_left_to_do(tmp_path):
    path = tmp_path / "run.npz"
    whole = Trainer(*parts())
    fit(whole, checkpoint=path)
    second = Trainer.resume(path, *parts(seed=9))
    fit(second)
    assert all_state(second) == all_state(whole)
    fit(second, epochs=1)
    assert second.steps == whole.steps + 8


@pytest.mark.parametrize("step", [5, 8, 11])
def test_an_iterable_of_batches_goes_on_where_it_was(tmp_path, step):
    x, t = data()
    batches = [(x[i : i + 8], t[i : i + 8]) for i in range(0, 60, 8)]
    options = {"epochs": 3, "progress": False}
    whole = Trainer(*parts())
    whole.fit(batches, transform=noise, **options)
    first = Trainer(*parts())
    first.fit(batches, transform=stopping_at(step), **options)
    first.save(tmp_path / "run.npz")
    second = Trainer.resume(tmp_path / "run.npz", *parts(seed=9))
    second.fit(batches, transform=noise, **options)
    assert all_state(second) == all_state(whole)


def test_one_generator_for_all(tmp_path):
    def shared(seed):
        rng = np.random.default_rng(seed)
        net = Sequential(Affine.random(4, 3, rng), Dropout(0.3, rng))
        return net, CrossEntropyLoss(), SGD(0.1, 0.9), rng

    whole, first = Trainer(*shared(0)), Trainer(*shared(0))
    fit(whole)
    fit(first, stopping_at(11))
    first.save(tmp_path / "run.npz")
    second = Trainer.resume(tmp_path / "run.npz", *shared(9))
    fit(second)
    assert all_state(second) == all_state(whole)


def test_after_resuming_the_learning_rate_can_be_changed(tmp_path):
    first = Trainer(*parts())
    fit(first, stopping_at(5))
    first.optimizer.lr = 0.5
    first.save(tmp_path / "run.npz")
    second = Trainer.resume(tmp_path / "run.npz", *parts())
    assert second.optimizer.lr == 0.5


def test_other_data_than_before(tmp_path):
    x, t = data()
    first = Trainer(*parts())
    fit(first, stopping_at(5))
    first.save(tmp_path / "run.npz")
    second = Trainer.resume(tmp_path / "run.npz", *parts())
    with pytest.raises(ValueError, match="samples is 59, but 60"):
        second.fit(x[1:], t[1:], **FIT, validation=(x, t))


def unfinished(path):
    """Save a training that stopped in the middle of its third epoch."""
    trainer = Trainer(*parts())
    fit(trainer, stopping_at(20), checkpoint=path)
    return trainer


def assert_refused(path, message, *make):
    """Resuming fails, names the file, and leaves net, loss, optimizer and rng as they were."""
    before = all_state(Trainer(*make))
    with pytest.raises(ValueError, match=message) as caught:
        Trainer.resume(path, *make)
    assert str(path) in str(caught.value)
    assert all_state(Trainer(*make)) == before


def wider():
    net, *others = parts()
    return Sequential(*net[:-1], Affine.random(8, 4, np.random.default_rng(0))), *others


def without_batchnorm():
    net, *others = parts()
    return Sequential(net[0], *net[2:]), *others


def without_dropout():
    net, *others = parts()
    return Sequential(*net[:3], Sequential(ReLU()), net[4]), *others


def in_float64():
    net, *others = parts()
    for layer in (net[0], net[4]):
        layer.W, layer.b = layer.W.astype(np.float64), layer.b.astype(np.float64)
    return Sequential(*net), *others


def with_other_bits():
    net, loss, optimizer, _ = parts()
    return net, loss, optimizer, np.random.Generator(np.random.SFC64(0))


def with_sgd():
    net, loss, _, rng = parts()
    return net, loss, SGD(), rng


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            wider,
            r"other parameters or buffers: .*4.W', 'float32\[8, 3\]'.*expected .*float32\[8, 4\]",
        ),
        (without_batchnorm, "has other parameters"),
        (in_float64, "expected .*float64"),
        (without_dropout, "the Generators are"),
        (with_other_bits, "the Generators are .*SFC64.*the checkpoint has .*PCG64"),
        (with_sgd, "the state is of class Adam"),
    ],
)
def test_another_make_than_before_is_refused(tmp_path, make, message):
    unfinished(tmp_path / "run.npz")
    assert_refused(tmp_path / "run.npz", message, *make())


def change(path, edit):
    """Edit the arrays and the JSON text of a checkpoint."""
    arrays = files.read_npz(path)
    text = json.loads(str(arrays["json"]))
    text = edit(arrays, text) or text
    arrays["json"] = np.array(json.dumps(text))
    files.write_npz(path, arrays)


def put(*way):
    """Return an edit that sets ``text[way[0]][way[1]]... = way[-1]``, or drops it if that is ..."""
    *to, key, value = way

    def edit(arrays, text):
        for step in to:
            text = text[step]
        if value is ...:
            del text[key]
        else:
            text[key] = value

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        lambda arrays, text: [1, 2],
        *[
            put(name, value)
            for name in ("format", "steps", "places", "generators", "epochs")
            for value in (..., None, "5", -1, 1.5, {"a": 1}, [1], [[]], [{"a": "b"}])
        ],
        *[put("run", value) for value in (..., "x", 1, {}, [])],
        put("run", "another", 1),
        put("epochs", {}),
        *[
            put("run", name, value)
            for name in (
                "samples",
                "batch_size",
                "shuffle",
                "drop_last",
                "epoch",
                "batch",
                "stopped",
            )
            for value in (..., "x", -1, [])
        ],
        *[
            put("run", name, value)
            for name in ("order_state", "split_state", "best_value", "waited")
            for value in (..., "x", -1, [], {}, {"bit_generator": "PCG64"})
        ],
        *[put("run", "sums", value) for value in (..., "x", -1, {}, [1.0], [[1.0]], [["x", 1, 1]])],
        *[put("frozen", value) for value in (..., "x", -1, {}, ["nowhere"])],
        *[put("generators", 0, name, ...) for name in ("bit_generator", "state")],
        *[put("generators", 1, "state", "inc", value) for value in (..., "x", None)],
    ],
)
def test_damaged_text_changes_nothing(tmp_path, edit):
    path = tmp_path / "run.npz"
    unfinished(path)
    change(path, edit)
    assert_refused(path, ".", *parts(seed=9))


@pytest.mark.parametrize(
    "value",
    [
        None,
        np.ones(1),
        np.ones((2, 2, 2), np.float32),
        np.ones((4, 8), np.int64),
        np.ones((8, 3), np.float64),
        np.array("x"),
    ],
)
def test_damaged_arrays_change_nothing(tmp_path, value):
    path = tmp_path / "run.npz"
    unfinished(path)
    whole = files.read_npz(path)
    assert {name.split("/")[0] for name in whole} == {
        *("json", "step_losses", "net", "optimizer", "best")
    }
    for name in whole:
        arrays = dict(whole)
        if value is None:
            del arrays[name]
        elif name == "step_losses" and value.shape == (1,):
            continue  # it holds any number of losses
        else:
            arrays[name] = value
        files.write_npz(path, arrays)
        assert_refused(path, ".", *parts(seed=9))


def test_files_that_are_no_checkpoint(tmp_path):
    path = tmp_path / "run.npz"
    parts()[0].save(path)
    assert_refused(path, "not a Trainer's checkpoint", *parts())
    Trainer(*parts()).save(path)
    whole = path.read_bytes()
    for damaged in (b"", whole[:-50], whole[: len(whole) // 2], b"x" * 200):
        path.write_bytes(damaged)
        assert_refused(path, "not a whole", *parts())
    np.savez(path, json=np.array({"format": 1}, object))
    assert_refused(path, "not a whole", *parts())


def test_no_pickle(tmp_path):
    Trainer(*parts()).save(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz", allow_pickle=False) as file:
        assert all(file[name].dtype.kind != "O" for name in file.files)


class Noisy(MSELoss):
    """A loss whose helper draws."""

    def __init__(self, rng):
        super().__init__()
        self.helpers = {"jitter": [Jitter(rng)]}

    def forward(self, y, t):
        return super().forward(self.helpers["jitter"][0](y), t)


class Jitter:
    def __init__(self, rng):
        self.rng = rng

    def __call__(self, y):
        return y + self.rng.normal(0, 0.1, y.shape).astype(np.float32)


class JitteryPenalty:
    """A penalty whose gradient is drawn."""

    def __init__(self, rng):
        self.jitter = Jitter(rng)

    def value(self, params):
        return 0.0

    def add_to(self, grads, params):
        return [self.jitter(g) for g in grads]


def regression(seed, shared):
    """All that draws has one Generator, or each one of its own."""
    one = np.random.default_rng(seed)
    rngs = iter([one] * 4 if shared else [np.random.default_rng(seed + k) for k in range(4)])
    net = Sequential(Affine.random(4, 4, one), Dropout(0.5, next(rngs)))
    return (net, Noisy(next(rngs)), SGD(), next(rngs)), {"penalty": JitteryPenalty(next(rngs))}


def fit_regression(made, steps):
    x, _ = data()
    made.fit(x[: 8 * steps], x[: 8 * steps], epochs=1, batch_size=8, progress=False)


@pytest.mark.parametrize("shared", [False, True])
def test_generators_of_helpers(tmp_path, shared):
    arguments, options = regression(0, shared)
    whole = Trainer(*arguments, **options)
    fit_regression(whole, 3)
    whole.save(tmp_path / "run.npz")
    fit_regression(whole, 5)
    arguments, options = regression(9, shared)
    second = Trainer.resume(tmp_path / "run.npz", *arguments, **options)
    fit_regression(second, 5)
    assert all_state(second) == all_state(whole)


@pytest.mark.parametrize("shared", [False, True])
def test_generators_that_were_shared_must_be_shared_again(tmp_path, shared):
    arguments, options = regression(0, shared)
    Trainer(*arguments, **options).save(tmp_path / "run.npz")
    arguments, options = regression(0, not shared)
    with pytest.raises(ValueError, match="the Generators are"):
        Trainer.resume(tmp_path / "run.npz", *arguments, **options)


@pytest.mark.parametrize("missing", ["state_dict", "load_state_dict"])
def test_an_optimizer_without_state_is_told(tmp_path, missing):
    class Plain:
        def step(self, params, grads):
            pass

    if missing == "load_state_dict":
        Plain.state_dict = lambda self: {}
    net, loss, _, rng = parts()
    trainer = Trainer(net, loss, Plain(), rng)
    for save in (check_can_save, lambda path, trainer: trainer.save(path)):
        with pytest.raises(TypeError, match=rf"Plain has no {missing}\(\), which a checkpoint"):
            save(tmp_path / "run.npz", trainer)
    assert os.listdir(tmp_path) == []


class Slowing:
    """An optimizer that is no `Optimizer`: the state is the number of its steps."""

    def __init__(self):
        self.done = np.zeros(())

    def step(self, params, grads):
        self.done += 1
        for p, g in zip(params, grads, strict=True):
            p -= np.float32(0.1) / np.float32(self.done) * g

    def state_dict(self):
        return {"done": self.done.copy()}

    def load_state_dict(self, state):
        self.done[...] = state["done"]


def test_an_optimizer_of_any_class_resumes(tmp_path):
    net, loss, _, rng = parts()
    whole = Trainer(net, loss, Slowing(), rng)
    fit(whole, epochs=1)
    whole.save(tmp_path / "run.npz")
    net, loss, _, rng = parts(seed=1)
    resumed = Trainer.resume(tmp_path / "run.npz", net, loss, Slowing(), rng)
    for each in (whole, resumed):
        fit(each, epochs=2)
    assert resumed.optimizer.done == whole.optimizer.done == 24
    for name, array in whole.net.state_dict().items():
        np.testing.assert_array_equal(resumed.net.state_dict()[name], array)


LONG = {"epochs": 6, "patience": None}
MOMENTS = [  # whose method, its name, at which of its calls, before or after it: in a ...
    (Adam, "_update", 25, "before"),  # step
    (files.npy, "write_array", 3, "after"),  # write, whose file is begun
    (files.npy, "write_array", 100, "after"),
    (os, "fsync", 7, "before"),  # write, whose file is whole
    (os, "replace", 9, "before"),
    (os, "replace", 5, "after"),  # write that has happened
]
IN_A_WRITE = {1, 2, 3, 4}


def kill_at(owner, name, count, when):
    """Have this process end by SIGKILL before or after a call, the how-manieth is `count`."""
    original = getattr(owner, name)

    def deadly(*args, **options):
        nonlocal count
        count -= 1
        if count == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **options)
        if count == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, deadly)


def train_until_killed(folder, moment):
    """Train, from the checkpoint on if there is one, up to a moment if there is one."""
    if moment is not None:
        kill_at(*MOMENTS[moment])
    path = folder / "run.npz"
    if path.exists():
        trainer = Trainer.resume(path, *parts(seed=9), **OPTIONS)
    else:
        trainer = Trainer(*parts(), **OPTIONS)
    fit(trainer, checkpoint=path, checkpoint_every=1, **LONG)
    trainer.net.save(folder / "weights.npz")
    trainer.history.to_csv(folder / "losses.csv", steps=True)


def test_killed_and_resumed(tmp_path):
    def run(*moment):
        return subprocess.run([sys.executable, __file__, str(tmp_path), *moment], check=False)

    for moment in range(len(MOMENTS)):
        assert run(str(moment)).returncode == -signal.SIGKILL
        left = [path.name for path in tmp_path.iterdir() if path.name != "run.npz"]
        assert len(left) == (moment in IN_A_WRITE)
        assert all(name.startswith("run.npz.") and name.endswith(".part") for name in left)
    assert run().returncode == 0
    assert sorted(os.listdir(tmp_path)) == ["losses.csv", "run.npz", "weights.npz"]

    whole = Trainer(*parts(), **OPTIONS)
    history = fit(whole, **LONG)
    for name, value in files.read_npz(tmp_path / "weights.npz").items():
        assert value.tobytes() == whole.net.state_dict()[name].tobytes()
    losses = np.loadtxt(tmp_path / "losses.csv", delimiter=",", skiprows=1)[:, 1]
    np.testing.assert_array_equal(losses, history.step_losses)


if __name__ == "__main__":
    train_until_killed(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else None)


def test_what_is_frozen_again_is_in_evaluation_mode_again(tmp_path):
    """Else a frozen BatchNorm would move its averages in the next step."""
    ours = Trainer(*parts())
    ours.net[1].freeze()
    ours.save(tmp_path / "run.npz")
    resumed = Trainer.resume(tmp_path / "run.npz", *parts(5))
    for each in (ours, resumed):
        each.train_step(*data())
    assert all_state(ours) == all_state(resumed)
    resumed.net[1].unfreeze()
    resumed.save(tmp_path / "run.npz")
    frozen = parts(5)
    frozen[0][1].freeze()
    assert Trainer.resume(tmp_path / "run.npz", *frozen).net[1].training


class Centred(MSELoss):
    """Subtracts a running mean of the targets, which it moves in training."""

    buffer_names = ("mean",)

    def __init__(self):
        super().__init__()
        self.mean = np.zeros(1)

    def forward(self, y, t, weights=None):
        if self.training:
            self.mean += 0.5 * (t.mean() - self.mean)
        return super().forward(y, t - self.mean, weights)


def test_the_buffers_of_a_loss(tmp_path):
    """Evaluation leaves them as they are, and the checkpoint holds them."""

    def make():
        net, loss = Affine(np.ones((4, 1)), np.zeros(1)), Centred()
        return net, loss, SGD(0.1), np.random.default_rng(0)

    x = data()[0]
    t, path = x[:, :1] + 3, tmp_path / "run.npz"
    ours, whole = Trainer(*make()), Trainer(*make())
    fitting = {"batch_size": 20, "progress": False, "validation": (x, t)}
    whole.fit(x, t, epochs=2, **fitting)
    ours.fit(x, t, epochs=1, checkpoint=path, **fitting)
    before = ours.loss.mean.copy()
    ours.evaluate(x, t)
    assert (ours.loss.mean, ours.loss.training) == (before, True)
    resumed = Trainer.resume(path, *make())
    resumed.fit(x, t, epochs=2, **fitting)
    assert resumed.loss.mean == whole.loss.mean > before
    assert resumed.history["validation_loss"] == whole.history["validation_loss"]
    net, _, *others = make()
    with pytest.raises(ValueError, match=r"other buffers of the loss: .*mean"):
        Trainer.resume(path, net, MSELoss(), *others)
