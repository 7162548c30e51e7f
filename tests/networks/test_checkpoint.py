"""Checkpoints: a resumed training is the one that was not interrupted, to the last bit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from chainrule.layers import Affine, BatchNorm, CrossEntropyLoss, Dropout, ReLU
from chainrule.networks import SGD, Adam, Sequential, Trainer, checkpoint, schedules

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
    dropout = next(layer for layer in trainer.net._walk() if isinstance(layer, Dropout))
    state["rng"] = np.array(str(trainer.rng.bit_generator.state))
    state["dropout"] = np.array(str(dropout.rng.bit_generator.state))
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


def test_what_does_not_fit_changes_nothing(tmp_path):
    path = tmp_path / "run.npz"
    first = Trainer(*parts())
    fit(first, stopping_at(5))
    first.save(path)
    net, loss, optimizer, rng = parts(seed=9)
    narrow = Sequential(*[layer for layer in net if not isinstance(layer, BatchNorm)])
    other_dropout = Sequential(*[layer for layer in net if not isinstance(layer, Sequential)])
    for wrong, message in (
        ((Sequential(*narrow), loss, optimizer, rng), "Generators are"),
        ((other_dropout, loss, optimizer, rng), "Generators are"),
        ((net, loss, SGD(), rng), "of class Adam"),
        ((net, loss, optimizer, np.random.Generator(np.random.SFC64(0))), "Generators are"),
    ):
        before = [wrong[0].state_dict(), str(wrong[2].state_dict()), str(rng.bit_generator.state)]
        with pytest.raises(ValueError, match=message):
            Trainer.resume(path, *wrong)
        for name, value in wrong[0].state_dict().items():
            np.testing.assert_array_equal(value, before[0][name])
        assert [str(wrong[2].state_dict()), str(rng.bit_generator.state)] == before[1:]


def test_other_data_than_before(tmp_path):
    x, t = data()
    first = Trainer(*parts())
    fit(first, stopping_at(5))
    first.save(tmp_path / "run.npz")
    second = Trainer.resume(tmp_path / "run.npz", *parts())
    with pytest.raises(ValueError, match="samples is 59, but 60"):
        second.fit(x[1:], t[1:], **FIT, validation=(x, t))


def test_files_that_are_no_checkpoint(tmp_path):
    net, loss, optimizer, rng = parts()
    net.save(tmp_path / "weights.npz")
    with pytest.raises(ValueError, match="not a Trainer's checkpoint") as caught:
        Trainer.resume(tmp_path / "weights.npz", net, loss, optimizer, rng)
    assert caught.value.__notes__ == [f"in {tmp_path / 'weights.npz'}"]
    Trainer(net, loss, optimizer, rng).save(tmp_path / "run.npz")
    whole = (tmp_path / "run.npz").read_bytes()
    for damaged in (b"", whole[:-50], whole[: len(whole) // 2], b"x" * 200):
        (tmp_path / "run.npz").write_bytes(damaged)
        with pytest.raises(ValueError, match="not a whole"):
            Trainer.resume(tmp_path / "run.npz", net, loss, optimizer, rng)


def test_no_pickle(tmp_path):
    Trainer(*parts()).save(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz", allow_pickle=False) as file:
        assert all(file[name].dtype.kind != "O" for name in file.files)
    np.savez(tmp_path / "run.npz", json=np.array({"format": 1}, object))
    with pytest.raises(ValueError, match="not a whole"):
        Trainer.resume(tmp_path / "run.npz", *parts())


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    ours = Trainer(*parts())
    ours.save(path)
    old = path.read_bytes()
    fit(ours, epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ours.save(path)
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["run.npz"]


def test_two_writers_at_once_never_mix(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    ours, other = Trainer(*parts()), Trainer(*parts(seed=5))
    other.save(path)
    savez = np.savez

    def slow(file, **arrays):
        monkeypatch.setattr(np, "savez", savez)
        other.save(path)
        savez(file, **arrays)

    monkeypatch.setattr(np, "savez", slow)
    with pytest.raises(FileExistsError, match="another process"):
        ours.save(path)
    assert all_state(Trainer.resume(path, *parts())) == all_state(other)


def test_a_left_part_is_replaced(tmp_path):
    path = tmp_path / "run.npz"
    (tmp_path / "run.npz.part").write_bytes(b"half")
    Trainer(*parts()).save(path)
    assert os.listdir(tmp_path) == ["run.npz"]


LONG = {"epochs": 20, "patience": None}


def train_until_done(folder, slow):
    """Train, from the checkpoint on if there is one; a slow write is often met by the kill."""
    if slow:
        savez = np.savez

        def dawdling(file, **arrays):
            file.write(b"half")
            file.flush()
            time.sleep(0.01)
            file.seek(0)
            savez(file, **arrays)

        np.savez = dawdling
    path = folder / "run.npz"
    if path.exists():
        trainer = Trainer.resume(path, *parts(seed=9), **OPTIONS)
    else:
        trainer = Trainer(*parts(), **OPTIONS)
    fit(trainer, checkpoint=path, checkpoint_every=1, **LONG)
    trainer.net.save(folder / "weights.npz")
    trainer.history.to_csv(folder / "losses.csv", steps=True)


@pytest.mark.parametrize("slow", [False, True])
def test_killed_and_resumed(tmp_path, slow):
    rng = np.random.default_rng(2)
    command = [sys.executable, __file__, str(tmp_path), str(int(slow))]
    for kill in range(5):
        before = saved(tmp_path)
        with subprocess.Popen(command) as process:
            if kill < 4:
                while saved(tmp_path) == before and process.poll() is None:
                    time.sleep(0.001)
                time.sleep(rng.uniform(0, 0.05))
                process.kill()
        if process.returncode == 0:  # the last, or one that was faster than its kill
            break
        assert process.returncode == -signal.SIGKILL
        files = {"run.npz", "run.npz.part", "weights.npz", "losses.csv"}
        assert {path.name for path in tmp_path.iterdir()} <= files
    whole = Trainer(*parts(), **OPTIONS)
    history = fit(whole, **LONG)
    for name, value in checkpoint.read_npz(tmp_path / "weights.npz").items():
        assert value.tobytes() == whole.net.state_dict()[name].tobytes()
    losses = np.loadtxt(tmp_path / "losses.csv", delimiter=",", skiprows=1)[:, 1]
    np.testing.assert_array_equal(losses, history.step_losses)


def saved(folder):
    """Return what changes when a checkpoint is written."""
    path = folder / "run.npz"
    return path.stat().st_ino if path.exists() else 0


if __name__ == "__main__":
    train_until_done(Path(sys.argv[1]), slow=bool(int(sys.argv[2])))
